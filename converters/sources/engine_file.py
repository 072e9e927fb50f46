"""A model file that an engine of ours already runs: ``.tflite`` and ``.onnx``, wrapped as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from converters.sources.base import Arrays
from edge_sdk.backends import Array
from edge_sdk.files import sha256_file
from edge_sdk.runtime import load
from edge_sdk.spec import Format


class EngineFileSource:
    """The file is the original and, wrapped, its own only variant."""

    unchecked_ops: tuple[str, ...] = ()

    def __init__(self, path: Path, kind: Format) -> None:
        """Load ``path`` to make sure that it runs.

        Raises:
            UsageError: it is not a model of that format, or was cut short.
            UnavailableError: no engine here runs it.
        """
        self.path, self.name = path, path.name
        self.kind: Format = kind
        self._session = load(path)
        self.signature = self._session.signature
        self.sha256 = sha256_file(path)
        self.size = path.stat().st_size
        placement = self._session.placement
        self.backend = placement.backend
        self._tools = {placement.backend: placement.backend_version}

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run``: the whole batch where the file allows it, else sample by sample."""
        count = len(next(iter(inputs.values())))
        if all(not t.shape or isinstance(t.shape[0], str) for t in self.signature.inputs):
            return self._session.run(inputs)
        rows = [
            self._session.run({name: array[i : i + 1] for name, array in inputs.items()})
            for i in range(count)
        ]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def tools(self) -> dict[str, str]:
        """See ``Source.tools``."""
        return self._tools
