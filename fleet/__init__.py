"""The program that looks after many devices: registry, rollouts, canaries, drift.

Empty until the loop is built; the package is here so that its place among the imports is kept.
"""
