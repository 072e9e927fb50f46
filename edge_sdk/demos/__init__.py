"""Demos: whole stories told with the ``edge`` command and nothing else.

A demo starts the processes that a person would start, types what a person would type, and looks at
what they would look at. It imports no application; if it works, so does the product.
"""
