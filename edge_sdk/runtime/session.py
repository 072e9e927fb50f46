"""Session: one loaded model, fed by name and read by name.

The thin path, ``run``, is a comparison per input, the engine's own call and a dict; it never copies
an input that is already as the engine wants it, and hands out arrays that the caller owns. It is
written out in loops without calls: an inference leaves the processor's caches cold, and then it is
not instructions that cost but every further function and object that is touched.

A session serves one thread at a time; give each thread its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from numpy import ndarray

from edge_sdk.backends.base import Array, LoadedModel
from edge_sdk.errors import UsageError
from edge_sdk.processing import Mask, Processing
from edge_sdk.runtime.tensors import Feed, reading
from edge_sdk.spec import Boxes, Classes, Placement, Signature
from edge_sdk.text import nearest


class Session:
    """A model ready to answer. Made by ``edge_sdk.load``; use as a context manager, or ``close``.

    Attributes:
        signature: inputs and outputs by name, in the original model's terms.
        engine_signature: the same as the loaded build sees them (its integers, its names' order).
        variant: id of the variant that runs, or the file's name for a bare model.
        processing: the declared pre- and postprocessing.
        raw: outputs come as the engine gives them, quantized integers included.
    """

    def __init__(
        self,
        model: LoadedModel,
        signature: Signature,
        engine_signature: Signature,
        *,
        variant: str,
        processing: Processing,
        raw: bool = False,
    ) -> None:
        self.signature = signature
        self.engine_signature = engine_signature
        self.variant = variant
        self.processing = processing
        self.raw = raw
        declared_inputs = {tensor.name: tensor for tensor in signature.inputs}
        declared_outputs = {tensor.name: tensor for tensor in signature.outputs}
        feeds = [Feed(declared_inputs[tensor.name], tensor) for tensor in engine_signature.inputs]
        self._feeds = tuple((feed.name, feed.dtype, feed.shape, feed.convert) for feed in feeds)
        self._readings = tuple(
            (tensor.name, None if raw else reading(declared_outputs[tensor.name], tensor))
            for tensor in engine_signature.outputs
        )
        self._model: LoadedModel | None = model
        self._run: Callable[[Sequence[Array]], list[Array]] = model.run

    @property
    def placement(self) -> Placement:
        """Where the model's operations run, next to where they were asked to."""
        return self._open_model().placement()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Args:
            inputs: one array per input name, of the signature's shape, and of its dtype or, for a
                quantized build, of the engine's.

        Returns:
            One array per output name; the caller owns them.

        Raises:
            UsageError: a name, dtype or shape that does not fit; the session stays usable.
        """
        if type(inputs) is not dict and not isinstance(inputs, Mapping):
            raise self._no_mapping(inputs)
        arrays = []
        for name, dtype, shape, convert in self._feeds:
            try:
                value = inputs[name]
            except KeyError:
                raise self._wrong_names(inputs) from None
            if (
                type(value) is ndarray
                and value.dtype == dtype
                and value.shape == shape
                and value.flags.c_contiguous
            ):
                arrays.append(value)
            else:
                arrays.append(convert(value))
        if len(inputs) != len(arrays):
            raise self._wrong_names(inputs)
        outputs = {}
        for (name, read), array in zip(self._readings, self._run(arrays)):  # noqa: B905 - strict costs 0.1 us
            outputs[name] = array if read is None else read(array)
        return outputs

    def predict(self, frame: Any) -> Classes | Boxes | Mask | dict[str, Array]:
        """Preprocess, run and postprocess as the manifest declares.

        Args:
            frame: a picture (uint8, height x width x 3 in RGB order, or height x width) where the
                manifest declares image preprocessing; otherwise what ``run`` takes.

        Returns:
            The declared result, or the outputs where no postprocessing is declared.

        Raises:
            UsageError: the frame does not fit, or the session is raw: postprocessing is declared
                for real numbers.
        """
        if self.raw and self.processing.postprocess is not None:
            raise UsageError(
                "A raw session gives the engine's own numbers, which declared postprocessing does "
                "not read.",
                "Load it without raw, or use session.run(…).",
            )
        if self.processing.preprocess is None:
            return self.processing.after(self.run(frame), None)
        inputs, geometry = self.processing.before(frame)
        return self.processing.after(self.run(inputs), geometry)

    def close(self) -> None:
        """Give back the engine's memory; ``run`` refuses afterwards."""
        if self._model is not None:
            self._model.close()
            self._model = None
            self._run = _closed

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open_model(self) -> LoadedModel:
        if self._model is None:
            raise UsageError("The session is closed.", "Load the model again: edge_sdk.load(…)")
        return self._model

    def _no_mapping(self, inputs: object) -> UsageError:
        return UsageError(
            f"The inputs are a {type(inputs).__name__}, not a mapping of names to arrays.",
            f"The model takes {[name for name, *_ in self._feeds]}.",
        )

    def _wrong_names(self, inputs: Mapping[str, Array]) -> UsageError:
        wanted = [name for name, *_ in self._feeds]
        missing = [name for name in wanted if name not in inputs]
        unknown = [name for name in inputs if name not in wanted]
        if unknown:
            return UsageError(
                f"The model has no input {unknown[0]!r}.", nearest(str(unknown[0]), wanted)
            )
        return UsageError(f"The input {missing[0]!r} is missing.", f"The model takes {wanted}.")


def _closed(_: Sequence[Array]) -> list[Array]:
    raise UsageError("The session is closed.", "Load the model again: edge_sdk.load(…)")
