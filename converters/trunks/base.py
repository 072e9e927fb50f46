"""What a trunk is: it makes the float build of one format out of one family of sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Trunk(Protocol):
    """Made with the source and a folder to work in."""

    def tools(self) -> Mapping[str, str]:
        """Versions of the engines it uses."""


class FileTrunk(Trunk, Protocol):
    """A format whose float build is one file: TFLite, ONNX."""

    def build(self) -> bytes:
        """The file, its inputs and outputs under the source's names, batch 1. Costly.

        Raises:
            ConversionError: the engine cannot make it.
        """


class CoreMlTrunk(Trunk, Protocol):
    """Core ML, whose build is an object of coremltools and is made in a precision."""

    def build(self, precision: str, system: str = "iOS17") -> Any:
        """A ``coremltools.models.MLModel`` (an ML program) with the source's names. Costly.

        Args:
            precision: ``fp32`` or ``fp16``.
            system: the oldest that is to run it, in coremltools' words.

        Raises:
            ConversionError: coremltools cannot make it.
        """
