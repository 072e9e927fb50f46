"""Alembic's place: how the tables came to be as they are, one revision after another.

Run at every start, inside one transaction; a database that is up to date costs one SELECT.
"""
