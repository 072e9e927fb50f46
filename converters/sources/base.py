"""What a source is to the rest of the conversion: a signature, a reference to compare with, bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from edge_sdk.backends import Array
from edge_sdk.spec import Signature

Arrays = Mapping[str, Array]


class Source(Protocol):
    """A trained model, opened: the original that every variant is held against.

    Attributes:
        name: its file name, or the object's own name.
        kind: ``keras``, ``savedmodel``, ``tflite`` or ``onnx``.
        sha256: digest of its bytes (of a folder: of its files' names and digests).
        size: bytes.
        signature: inputs and outputs; the batch axis is ``"batch"`` where it may vary.
    """

    name: str
    sha256: str
    size: int
    signature: Signature

    @property
    def kind(self) -> str: ...

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """The original's answer to a batch, by output name.

        Args:
            inputs: one array per input, first axis the batch; of length 1 where it is fixed.
        """

    def tools(self) -> dict[str, str]:
        """Versions of what was needed to read and run it."""
