"""Toolchains: engines whose pins conflict with ours, each in a private venv, run as a program.

onnx2tf wants another numpy, another onnx and another ai-edge-litert than edgeloop, and a Python
that it does not need. So it never comes into the user's environment: ``edge toolchain install``
builds a venv of its own from a lock file that edgeloop ships, and a conversion runs a small driver
in it, with files in, files out, a time limit and no network.

    catalogue    which toolchains there are, and what their lock files pin
    place        where they live, and whether one is there and whole
    building     making, verifying, removing; one at a time
    run          a driver at work, its chatter kept
    drivers/     the programs that run inside; they import nothing of ours
"""

from __future__ import annotations

from converters.toolchains.building import install, remove
from converters.toolchains.catalogue import CATALOGUE, Toolchain, toolchain
from converters.toolchains.place import examine, home, modules
from converters.toolchains.run import drive, need

__all__ = [
    "CATALOGUE",
    "Toolchain",
    "drive",
    "examine",
    "home",
    "install",
    "modules",
    "need",
    "remove",
    "toolchain",
]
