"""A model file that an engine of ours runs already, wrapped as it is: ``.tflite``, ``.onnx``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from converters.sources.base import Arrays, one_by_one
from converters.sources.shapes import check_known, with_shape
from edge_sdk.backends import Array
from edge_sdk.files import sha256_file
from edge_sdk.runtime import load
from edge_sdk.spec import Format, Placement, Signature


class EngineFileSource:
    """The file is the original and, wrapped, its own only variant.

    Attributes:
        shapes: what ``--input`` said.
    """

    unchecked_ops: tuple[str, ...] = ()

    def __init__(
        self, path: Path, kind: Format, shapes: Mapping[str, tuple[int, ...]] | None = None
    ) -> None:
        """Load ``path`` to make sure that it runs; ``shapes`` fix what its inputs leave open.

        Raises:
            UsageError: it is not a model of that format, was cut short, or ``shapes`` do not fit.
            UnavailableError: no engine here runs it.
        """
        self.path, self.name = path, path.name
        self.kind: Format = kind
        self.family: str = kind
        self.session = load(path)
        found, shapes = self.session.signature, shapes or {}
        self.shapes = shapes
        check_known(shapes, [t.name for t in found.inputs])
        self.signature = Signature(
            inputs=tuple(with_shape(t, shapes) for t in found.inputs),
            outputs=found.outputs,
            name=found.name,
        )
        self.sha256 = sha256_file(path)
        self.size = path.stat().st_size
        placement = self.session.placement
        self.backend = placement.backend
        self.checked_by = f"{placement.backend} {placement.backend_version}"
        self._tools = {placement.backend: placement.backend_version}

    @property
    def placement(self) -> Placement | None:
        """Where its operations run here."""
        return self.session.placement

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run``."""
        return one_by_one(self.run_one, inputs, self.signature)

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run_one``."""
        return self.session.run(inputs)

    def tools(self) -> dict[str, str]:
        """See ``Source.tools``."""
        return self._tools
