"""Core ML, through coremltools: on Apple systems only.

**Unproven**: nothing here has run on a Mac by us. What is proven is that it is refused elsewhere
with the reason. ``converters.mil`` evaluates Core ML programs on any machine, for proofs, not for
speed.

A ``.mlpackage`` is a folder, so it is opened by its path; there is no model in bytes.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk.backends.base import Array, DelegateRequest, LoadedModel
from edge_sdk.backends.coreml_terms import in_terms, terms_in
from edge_sdk.backends.delegates import EARLIER, check_options
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec import Attempt, Format, Placement, Signature, TensorSpec
from edge_sdk.spec.tensor import Dim, DType

UNITS = {"coreml": "ALL", "gpu": "CPU_AND_GPU", "cpu": "CPU_ONLY"}
"""Delegate to Core ML's ``ComputeUnit``; which unit takes what, it decides and does not tell."""

_DTYPES: dict[int, DType] = {65552: "float16", 65568: "float32", 65600: "float64", 131104: "int32"}
"""``ArrayFeatureType.ArrayDataType`` of Core ML's ``FeatureTypes.proto``."""


class CoreMl:
    """The backend."""

    name = "coreml"
    extra = "convert"
    formats: tuple[Format, ...] = ("coreml",)

    def version(self) -> str:
        """See ``Backend.version``."""
        if platform.system() != "Darwin":
            raise UnavailableError(
                "Core ML models run on Apple systems only.",
                "Take another variant here, tflite or onnx; the same artifact may hold several.",
            )
        try:
            import coremltools

            return str(coremltools.__version__)
        except (ImportError, AttributeError) as error:
            raise UnavailableError(
                f"Core ML is not usable here: {error}", "pip install coremltools"
            ) from error

    def delegates(self) -> tuple[str, ...]:
        """See ``Backend.delegates``."""
        return tuple(UNITS)

    def holds_lock(self, delegates: Sequence[str]) -> bool:
        """See ``Backend.holds_lock``: unproven, as all of it."""
        return False

    def open(
        self,
        model: Path | bytes,
        *,
        delegates: Sequence[DelegateRequest],
        threads: int,
        cache: Path | None = None,
        digest: str | None = None,
    ) -> LoadedModel:
        """See ``Backend.open``. Core ML chooses its threads, and keeps its own cache."""
        found = self.version()
        import coremltools

        if isinstance(model, bytes):
            raise UsageError(
                "A Core ML model is a folder, not a file's content.", "Open it by its path."
            )
        check_options(self.name, delegates, lambda _: ())
        attempts: list[Attempt] = []
        chosen = ""
        for request in delegates:
            if request.name not in UNITS:
                reason = f"Core ML has no {request.name} path"
                attempts.append(Attempt(delegate=request.name, active=False, reason=reason))
            elif chosen:
                if request.name != "cpu":
                    reason = EARLIER
                    attempts.append(Attempt(delegate=request.name, active=False, reason=reason))
            else:
                chosen = request.name
        chosen = chosen or "coreml"
        try:
            loaded = coremltools.models.MLModel(
                str(model), compute_units=coremltools.ComputeUnit[UNITS[chosen]]
            )
        except Exception as error:
            raise UsageError(
                f"This is not a Core ML model that this system reads: {error}",
                "Convert it again: edge convert … --formats coreml",
            ) from error
        limits = "" if chosen == "cpu" else "Core ML does not tell which unit took what"
        attempts.append(Attempt(delegate=chosen, active=True, operations=None, reason=limits))
        placement = Placement(
            backend=self.name,
            backend_version=found,
            requested=tuple(request.name for request in delegates),
            attempts=tuple(attempts),
            operations=None,
            threads=threads,
        )
        return CoreMlModel(loaded, placement)


class CoreMlModel(LoadedModel):
    """One Core ML model, in the terms of the model it was made from."""

    def __init__(self, loaded: Any, placement: Placement) -> None:
        self._loaded = loaded
        self._placement = placement
        description = loaded.get_spec().description
        terms = terms_in(description.metadata.userDefined)
        self._scalars = {name for name, term in terms.items() if term.scalar}
        self._inputs = [feature.name for feature in description.input]
        self._outputs = [feature.name for feature in description.output]
        self.signature = Signature(
            inputs=tuple(in_terms(_tensor(feature), terms) for feature in description.input),
            outputs=tuple(in_terms(_tensor(feature), terms) for feature in description.output),
            name="main",
        )

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See ``LoadedModel.run``."""
        feeds = {
            name: array.reshape(1) if name in self._scalars else array
            for name, array in zip(self._inputs, inputs, strict=True)
        }
        try:
            outputs = self._loaded.predict(feeds)
        except Exception as error:
            raise UsageError(
                f"Core ML cannot run the model on these inputs: {error}",
                "Check the inputs' shapes and values.",
            ) from error
        arrays = [np.asarray(outputs[name]) for name in self._outputs]
        return [
            array.reshape(()) if name in self._scalars else array
            for name, array in zip(self._outputs, arrays, strict=True)
        ]

    def placement(self) -> Placement:
        """See ``LoadedModel.placement``."""
        return self._placement

    def close(self) -> None:
        """See ``LoadedModel.close``."""
        self._loaded = None


def _tensor(feature: Any) -> TensorSpec:
    array = feature.type.multiArrayType
    shape: tuple[Dim, ...] = tuple(int(n) for n in array.shape)
    return TensorSpec(
        name=feature.name, dtype=_DTYPES.get(int(array.dataType), "float32"), shape=shape
    )


BACKEND = CoreMl()
