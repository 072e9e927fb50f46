"""TensorFlow's own TFLite interpreter, the last resort: where TensorFlow is, and nothing smaller.

It takes seconds and half a gigabyte to import, so it is only looked up until a model is opened. A
file that it maps it does not verify, and it dies of one that was cut short.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_sdk.backends import processor, tflite_bounds
from edge_sdk.backends.base import DelegateRequest
from edge_sdk.backends.litert_interpreter import LiteRtInterpreter
from edge_sdk.backends.notices import without_formalities
from edge_sdk.errors import UnavailableError

DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tensorflow-aarch64", "tf-nightly")


class TensorFlow(LiteRtInterpreter):
    """The backend."""

    name = "tensorflow"
    title = "TensorFlow"
    extra = "convert"
    module = "tensorflow.lite.python.interpreter"
    distribution = "tensorflow"

    def version(self) -> str:
        """See ``Backend.version``. It is not imported for that."""
        from importlib.metadata import PackageNotFoundError, version

        processor.check(self.name, self.title)
        if find_spec("tensorflow") is not None:
            for name in DISTRIBUTIONS:
                try:
                    return version(name)
                except PackageNotFoundError:
                    continue
        raise UnavailableError(
            "TensorFlow is not usable here: it is not installed, and LiteRT runs the same models.",
            "pip install 'edgeloop[litert]'",
        )

    def _look_at(self, model: Path | bytes) -> None:
        """See ``LiteRtInterpreter``: it is imported now, and the references are followed."""
        try:
            with warnings.catch_warnings(), without_formalities():
                warnings.simplefilter("ignore")
                import tensorflow.lite.python.interpreter  # noqa: F401
        except ImportError as error:
            raise UnavailableError(
                f"TensorFlow is not usable here: {error}", "pip install 'edgeloop[litert]'"
            ) from error
        tflite_bounds.check(model)

    def prepare(
        self,
        model: Path | bytes,
        delegates: Sequence[DelegateRequest],
        threads: int,
        *external: Any,
    ) -> tuple[Any, int]:
        """See ``LiteRtInterpreter``: every interpreter warns that it will be gone one day."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().prepare(model, delegates, threads, *external)


BACKEND = TensorFlow()
