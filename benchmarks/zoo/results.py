"""What the zoo keeps in ``benchmarks/results``."""

from __future__ import annotations

import msgspec

from benchmarks.zoo.runs import Build, Run


class Zoo(msgspec.Struct):
    """``zoo.json``: every conversion, and what it was measured on."""

    zoo: list[Run] = []
    measured: dict[str, str | int] = {}


class Engines(msgspec.Struct):
    """``zoo_lite0.json``: by engine, what its default gave; and on how many photographs."""

    photos: int
    engines: dict[str, Build]
