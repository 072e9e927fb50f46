"""Session: one loaded model, fed by name and read by name.

The thin path, ``run``, is a comparison per input, the engine's own call and a dict. It never copies
an input that is already as the engine wants it, and hands out arrays that the caller owns. It is
written out without calls: an inference leaves the processor's caches cold, and then it is not
instructions that cost but every further function and object that is touched.

**Who owns what.** What is passed in stays the caller's: it is read during the call and not kept, so
it may be changed or reused as soon as ``run`` has returned (with ``run_async``: as soon as the
future is done). What comes out is the caller's too, and no later call changes it.

**Threads.** A session may be shared between threads. Where the engine cannot run a model for two at
once, calls take turns; Python's lock is free meanwhile. A model that keeps state between its runs
has one state, whoever calls: give each stream of inputs a session of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy import ndarray

from edge_sdk.backends.base import Array, LoadedModel
from edge_sdk.closing import Closing
from edge_sdk.errors import UsageError
from edge_sdk.machine.memory import give_back_memory
from edge_sdk.processing import Mask, Processing
from edge_sdk.runtime.tensors import Feed, Reading, reading
from edge_sdk.spec import Attempt, Boxes, Classes, Identity, Placement, Signature
from edge_sdk.spec.tensor import Dim
from edge_sdk.text import nearest

if TYPE_CHECKING:
    from concurrent.futures import Future

    from edge_sdk.explain import Explanation, Score
    from edge_sdk.guard import InputGuard, RefusedInput
    from edge_sdk.runtime.ahead import Ahead

MAX_PENDING = 4
"""How many calls of ``run_async`` may wait or run before the next one must wait itself."""


_One = tuple[
    str,
    np.dtype[Any],
    tuple[Dim, ...] | None,
    str,
    Reading | None,
    Callable[[Sequence[Array]], list[Array]],
]
"""Name, dtype and shape of the one input; name and reading of the one output; the engine's call."""


class Session(Closing):
    """A model ready to answer. Made by ``edge_sdk.load``; use as a context manager, or ``close``.

    Attributes:
        signature: inputs and outputs by name, in the original model's terms.
        engine_signature: the same as the loaded build sees them (its integers, its names' order).
        variant: id of the variant that runs, or the file's name for a bare model.
        processing: the declared pre- and postprocessing.
        raw: outputs come as the engine gives them, quantized integers included.
        guard: what is refused, and how often it was; None where no limits are declared. Limits of
            pictures hold for ``predict`` and ``predict_batch``, those of arrays for ``run``,
            ``run_batch`` and ``run_async`` too.
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
        finite: bool = False,
        requested: tuple[str, ...] = (),
        disqualified: Sequence[Attempt] = (),
        identify: Callable[[], Identity] | None = None,
    ) -> None:
        """Wrap a loaded model.

        Args:
            model: from now on the session's to close.
            signature, engine_signature, variant, processing, raw: see the class.
            finite: refuse inputs that hold a NaN or an infinity.
            requested: the delegates that were asked for, disqualified ones included.
            disqualified: delegates that the model ran on at first and that gave wrong numbers.
            identify: says which model it is; without, the variant's name is all that is known.
        """
        self.signature = signature
        self.engine_signature = engine_signature
        self.variant = variant
        self.processing = processing
        self.raw = raw
        self.guard: InputGuard | None = None
        self._finite = finite
        self._requested = requested
        self._identify = identify or (lambda: Identity(name=variant))
        declared_inputs = {tensor.name: tensor for tensor in signature.inputs}
        declared_outputs = {tensor.name: tensor for tensor in signature.outputs}
        feeds = [
            Feed(declared_inputs[tensor.name], tensor, finite=finite)
            for tensor in engine_signature.inputs
        ]
        self._feeds = tuple((feed.name, feed.dtype, feed.shape, feed.convert) for feed in feeds)
        self._readings = tuple(
            (tensor.name, None if raw else reading(declared_outputs[tensor.name], tensor))
            for tensor in engine_signature.outputs
        )
        self._model: LoadedModel | None = model
        self._run: Callable[[Sequence[Array]], list[Array]]
        self._one: _One | None
        self._ahead: Ahead | None = None
        self._ending = False
        self._changing = Lock()
        self._attach(model, disqualified)

    @property
    def placement(self) -> Placement:
        """Where the model's operations run, next to where they were asked to."""
        found = self._open_model().placement()
        return with_disqualified(found, self._requested, self._disqualified)

    @property
    def identity(self) -> Identity:
        """Which model this is: name, version and digest. A bare model's file is read for it."""
        return self._identify()

    @property
    def signatures(self) -> tuple[str, ...]:
        """Names of the model's entry points; ``run`` takes the one of ``signature``."""
        return self._open_model().signatures

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Args:
            inputs: one array per input name, of the signature's shape, and of its dtype or, for a
                quantized build, of the engine's.

        Returns:
            One array per output name; the caller owns them.

        Raises:
            UsageError: a name, dtype or shape that does not fit; the session stays usable.
            RefusedInput: a model that takes arrays has limits, and they do not keep them.
        """
        one = self._one
        if one is not None and type(inputs) is dict and len(inputs) == 1:
            # Most models; worth half of what is spent here on a small one.
            name, dtype, shape, output, read, engine = one
            value = inputs.get(name)
            if (
                type(value) is ndarray
                and value.dtype == dtype
                and value.shape == shape
                and value.flags.c_contiguous
            ):
                (array,) = engine((value,))
                return {output: array if read is None else read(array)}
        elif not isinstance(inputs, Mapping):
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

    _ask = run
    """The same for whoever has asked the guard already (``runtime.guarded``)."""

    def check(self, inputs: Mapping[str, Array]) -> None:
        """Whether ``run`` would take these inputs: names, types, shapes; nothing is run.

        Raises:
            UsageError: as ``run``.
        """
        self._open_model()
        if not isinstance(inputs, Mapping):
            raise self._no_mapping(inputs)
        if set(inputs) != {name for name, *_ in self._feeds}:
            raise self._wrong_names(inputs)
        for name, _, _, convert in self._feeds:
            convert(inputs[name])

    def run_batch(
        self, inputs: Mapping[str, Array], *, rows: int | None = None
    ) -> dict[str, Array]:
        """Run the model over many rows, however many it takes at once.

        Args:
            inputs: as for ``run``, but with any number of rows along the first axis; or with an
                axis before all of the model's own, for as many whole inputs.
            rows: at most so many at once, where the model leaves their number open; None gives it
                all of them.

        Returns:
            One array per output name with the rows in the same order, as one run over all of them
            would have answered.

        Raises:
            UsageError: as ``run``; or the inputs differ in their number of rows, have none, or an
                output has no axis of rows.
            RefusedRows: a model that takes arrays has limits, and some rows do not keep them. It
                says which and why, and holds the answers to the others.
        """
        from edge_sdk.runtime.batches import run_batch

        return run_batch(self.run, self.engine_signature, inputs, rows)

    def run_async(
        self, inputs: Mapping[str, Array], *, wait: bool = True
    ) -> Future[dict[str, Array]]:
        """Run the model in another thread, in the order of the calls.

        At most ``MAX_PENDING`` calls wait or run at a time: who is faster than the model is slowed
        down to its pace, and holds no more than that many inputs in memory.

        Args:
            inputs: as for ``run``; not to be changed before the future is done.
            wait: for room; if not, and there is none, nothing is run.

        Returns:
            A future of what ``run`` returns or raises. In asyncio:
            ``await asyncio.wrap_future(session.run_async(inputs))``.

        Raises:
            UsageError: the session is closed.
            UnavailableError: there is no room, and it was not to be waited for.
        """
        with self._changing:
            if self._ending:
                raise _is_closed()
            if self._ahead is None:
                from edge_sdk.runtime.ahead import Ahead

                self._ahead = Ahead(self.run, MAX_PENDING, self.variant)
        return self._ahead.submit(inputs, wait=wait)

    def predict(self, frame: Any) -> Classes | Boxes | Mask | dict[str, Array]:
        """Preprocess, run and postprocess as the manifest declares.

        Args:
            frame: a picture (uint8, height x width x 3 in RGB order, or height x width) where the
                manifest declares image preprocessing; otherwise what ``run`` takes.

        Returns:
            The declared result, or the outputs where no postprocessing is declared.

        Raises:
            RefusedInput: the frame does not keep the limits of the session's guard; a UsageError.
            UsageError: the frame does not fit, or the session is raw: postprocessing is declared
                for real numbers.
        """
        if self.guard is not None:
            self.guard.admit(frame)
        return self._answer(frame)

    def _answer(self, frame: Any) -> Classes | Boxes | Mask | dict[str, Array]:
        """``predict`` without a guard before it, or behind another one."""
        if self.raw and self.processing.postprocess is not None:
            raise UsageError(
                "A raw session gives the engine's own numbers, which declared postprocessing does "
                "not read.",
                "Load it without raw, or use session.run(…).",
            )
        if self.processing.preprocess is None:
            return self.processing.after(self._ask(frame), None)
        inputs, geometry = self.processing.before(frame)
        return self.processing.after(self._ask(inputs), geometry)

    def predict_batch(
        self, frames: Sequence[Any]
    ) -> list[Classes | Boxes | Mask | dict[str, Array] | RefusedInput]:
        """``predict`` of many frames: of pictures in as few runs as the model can do with.

        Args:
            frames: each as for ``predict``. Pictures are batches of the model's own size, or one if
                it leaves that open; what takes arrays is run frame by frame (``run_batch``, of
                whole arrays, is faster).

        Returns:
            In the place of each frame its answer; or the RefusedInput, not raised, of one that does
            not keep the limits of the session's guard. To a rate limit a batch is one question.

        Raises:
            UsageError: as ``predict``.
        """
        from edge_sdk.runtime.batches import answer_many

        kept: list[Any] = [None] * len(frames)
        if self.guard is not None:
            kept = self.guard.admit_many(frames)
        asked = [frame for frame, refused in zip(frames, kept, strict=True) if refused is None]
        if self.raw or self.processing.preprocess is None:
            answers = iter([self._answer(frame) for frame in asked])
        else:
            answers = iter(answer_many(self, [(frame, "rgb") for frame in asked]))
        return [next(answers) if refused is None else refused for refused in kept]

    def explain(
        self,
        picture: Any,
        target: int | str | None = None,
        *,
        score: Score | None = None,
        runs: int = 600,
        seed: int = 0,
        hide: Literal["mean", "blur", "black"] = "mean",
        progress: Callable[[int, int], None] | None = None,
    ) -> Explanation:
        """Which parts of a picture a score owes itself to; asks the model ``runs`` times.

        Args:
            picture: as for ``predict``.
            target: a class, by index or label; None takes the class, the box or the mask that the
                model is surest of.
            score: instead, a function from what ``predict`` answers to a number.
            runs: more give a map with less noise; its error falls with the square root.
            seed: of the masks; the same gives the same map.
            hide: what stands for a hidden part: the picture's mean colour, a blur of it, or black.
            progress: told of the runs that are done, and of how many there will be.

        Returns:
            A map at the model's size, its meaning in ``Explanation``. ``pipeline.draw`` draws it.

        Raises:
            UsageError: the model does not take one picture, the picture is none or has nothing that
                could be hidden, or there is no such class.
            UnavailableError: the model answered something that is not a number.
        """
        from edge_sdk.explain import explain

        return explain(
            self,
            picture,
            target,
            score=score,
            runs=runs,
            seed=seed,
            hide=hide,
            progress=progress,
        )

    def entry(self, name: str) -> Session:
        """Another entry point of this very model: its weights and its state are shared.

        Args:
            name: one of ``signatures``.

        Returns:
            A session that ends with this one. Its inputs and outputs are the engine's own, without
            declared pre- and postprocessing, which belong to the main entry point.

        Raises:
            UsageError: there is no such entry point, or the session is closed.
        """
        model = self._open_model()
        if name == self.engine_signature.name:
            return self
        if name not in model.signatures:
            raise UsageError(
                f"The model has no signature {name!r}.", nearest(name, model.signatures)
            )
        found = model.entry(name)
        return Session(
            found,
            found.signature,
            found.signature,
            variant=self.variant,
            processing=Processing(signature=found.signature, engine_signature=found.signature),
            raw=self.raw,
            finite=self._finite,
            requested=self._requested,
            disqualified=self._disqualified,
            identify=self._identify,
        )

    def reset(self) -> None:
        """Forget what earlier runs have left in a stateful model; nothing for any other.

        Where an engine cannot be told to, the model is loaded anew: that costs what a load costs.
        """
        self._open_model().reset()

    def warm_up(self) -> None:
        """Run once on zeros, for what engines leave to the first run; a state is reset.

        Where the signature leaves a length open, or takes text, there is nothing to run it on.
        """
        from edge_sdk.runtime.tensors import zeros

        self._open_model()
        inputs = zeros(self.engine_signature)
        if inputs is not None:
            self._run(inputs)
            self.reset()

    def close(self) -> None:
        """Give back the engine's memory; ``run`` refuses afterwards.

        Calls in other threads come to their end first; those of ``run_async`` that wait are
        cancelled.
        """
        with self._changing:
            if self._ending:
                return
            self._ending, ahead = True, self._ahead
        if ahead is not None:
            ahead.close()
        with self._changing:
            model, self._model, self._one, self._run = self._model, None, None, _closed
        if model is None:
            return
        model.close()
        del model
        give_back_memory()

    def _attach(self, model: LoadedModel, disqualified: Sequence[Attempt]) -> None:
        """Run this model from now on, unless the session is closed."""
        with self._changing:
            if self._model is None:
                return
            self._model, self._disqualified = model, tuple(disqualified)
            self._run = model.run
            self._one = None
            if len(self._feeds) == len(self._readings) == 1:
                self._one = (*self._feeds[0][:3], *self._readings[0], model.run)

    def _open_model(self) -> LoadedModel:
        model = self._model
        if model is None:
            raise _is_closed()
        return model

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


def with_disqualified(
    placement: Placement, requested: tuple[str, ...], disqualified: Sequence[Attempt]
) -> Placement:
    """The placement of what runs, told together with what was tried before and gave wrong numbers.

    Args:
        placement: of the model as it was opened in the end.
        requested: what was asked for in the beginning.
        disqualified: see ``Session``.
    """
    if not disqualified:
        return placement
    return msgspec.structs.replace(
        placement, requested=requested, attempts=(*disqualified, *placement.attempts)
    )


def _closed(_: Sequence[Array]) -> list[Array]:
    raise _is_closed()


def _is_closed() -> UsageError:
    return UsageError("The session is closed.", "Load the model again: edge_sdk.load(…)")
