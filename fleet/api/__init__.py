"""The REST API: what operators and their programs say to the fleet.

``/schema/openapi.json`` describes it.
"""
