"""The program on the device: keeps the right artifact running, and says how it is.

Empty until the loop is built; the package is here so that its place among the imports is kept.
"""
