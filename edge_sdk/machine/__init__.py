"""This machine: what it is and has, what holds it back, what is installed on it, and what mends it.

Nothing here loads a model; what does, asks here (``edge_sdk.runtime``).
"""
