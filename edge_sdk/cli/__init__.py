"""The ``edge`` command: one door, behind which each package keeps its own rooms."""
