"""tflite-runtime, LiteRT's predecessor: the only TFLite engine with wheels for 32-bit Arm.

Its last release, 2.14, is built against numpy 1: with numpy 2 it fails when a model is opened, in
words that say nothing of it, so that is refused here. It verifies no file, and dies of one that was
cut short, so its references are followed first. It runs int8 models twenty times slower than
LiteRT on x86-64, and has no CompiledModel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_sdk.backends import tflite_bounds
from edge_sdk.backends.litert_interpreter import LiteRtInterpreter
from edge_sdk.errors import UnavailableError


class TfLiteRuntime(LiteRtInterpreter):
    """The backend."""

    name = "tflite-runtime"
    title = "tflite-runtime"
    extra = "tflite"
    module = "tflite_runtime.interpreter"
    distribution = "tflite-runtime"

    def version(self) -> str:
        """See ``Backend.version``."""
        found = super().version()
        if int(np.__version__.partition(".")[0]) >= 2:
            raise UnavailableError(
                f"tflite-runtime {found} needs numpy 1, and here is numpy {np.__version__}.",
                "pip install 'edgeloop[tflite]'   # in an environment of its own",
            )
        return found

    def _look_at(self, model: Path | bytes) -> None:
        """See ``LiteRtInterpreter``: its references are followed."""
        tflite_bounds.check(model)


BACKEND = TfLiteRuntime()
