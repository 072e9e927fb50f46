"""Core ML programs read and evaluated on Linux; see ``converters.mil.program``."""

from converters.mil.program import MilProgram

__all__ = ["MilProgram"]
