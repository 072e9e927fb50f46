"""LiteRT's CompiledModel: prepared weights that outlive the process, and the GPU.

What it does that one must know:

* ``GPU|CPU`` without a graphics adapter raises; it does not fall back. ``is_fully_accelerated()``
  is true of a plain CPU as well. How many operations the GPU left, and on which adapter it runs, it
  says only in its log, so the log is heard.
* It computes in half precision on the GPU, unless told ``enforce_f32``.
* ``run_by_index`` holds Python's lock for the whole inference: no other thread of the program runs
  meanwhile. The Interpreter (``litert``) lets it go, and is what edgeloop takes by default.
* It takes models that are cut short, or need operations that it lacks, and fails at the first run.
  So an Interpreter is made, which looks at the file, and the tensors' shapes are asked for, which
  has all operations prepared; once, if weights are kept.
* It says nothing of quantization and open lengths, which are read from the file
  (``tflite_tensors``), nor of operations, for which an Interpreter is asked as well.
* Buffers take no 64-bit numbers, no int16 and no text.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from edge_sdk.backends.base import Array, DelegateRequest, LoadedModel
from edge_sdk.backends.delegates import check_options, truth, wants_only_plain_cpu
from edge_sdk.backends.litert_interpreter import INTERPRETER, REFUSALS, as_ours, refused
from edge_sdk.backends.litert_model import DEFAULT_SIGNATURE, has_variables, one_line, taken
from edge_sdk.backends.notices import complaints, overheard
from edge_sdk.backends.partitions import shares
from edge_sdk.backends.tflite_tensors import Tensors, read
from edge_sdk.backends.weight_cache import prepared_weights, remembered_digest
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec import Attempt, Format, Placement, Signature

GPU_OPTIONS = (
    "enforce_f32",
    "constant_tensor_sharing",
    "infinite_float_capping",
    "benchmark_mode",
    "allow_src_quantized_fc_conv_ops",
    "hint_waiting_for_completion",
)
"""LiteRT's own names, each true or false."""

_NO_FLATBUFFER = "Flatbuffer"
"""How an Interpreter's complaint begins about what is no model."""
_PASSED = {"float16", "float32", "int8", "uint8", "int32", "bool"}
_ADAPTER = re.compile(r"Selected adapter: (.+)")
_LEFT = re.compile(r"(\d+) operations will run on the GPU, and the remaining (\d+) operations")
_SOFTWARE = "a software adapter, no graphics processor"


class LiteRtCompiled:
    """The backend."""

    name = "litert-compiled"
    extra = "litert"
    formats: tuple[Format, ...] = ("tflite",)

    def version(self) -> str:
        """See ``Backend.version``."""
        found = INTERPRETER.version()
        try:
            import ai_edge_litert.compiled_model  # noqa: F401
        except ImportError as error:
            raise UnavailableError(
                f"This LiteRT has no CompiledModel: {error}", "pip install --upgrade ai-edge-litert"
            ) from error
        return found

    def delegates(self) -> tuple[str, ...]:
        """See ``Backend.delegates``. Whether there is a GPU shows only when it is asked for."""
        return ("xnnpack", "cpu")

    def holds_lock(self, delegates: Sequence[str]) -> bool:
        """See ``Backend.holds_lock``."""
        return True

    def open(
        self,
        model: Path | bytes,
        *,
        delegates: Sequence[DelegateRequest],
        threads: int,
        cache: Path | None = None,
        digest: str | None = None,
    ) -> LoadedModel:
        """See ``Backend.open``."""
        version = self.version()
        attempts: list[Attempt] = []
        check_options(self.name, delegates, lambda name: GPU_OPTIONS if name == "gpu" else ())
        for request in delegates:
            if request.name in ("xnnpack", "cpu"):
                continue
            if request.name != "gpu":
                attempts.append(refused(request, _refusal(request)))
                continue
            try:
                return on_gpu(model, delegates, request, threads, attempts)
            except UnavailableError as error:
                attempts.append(refused(request, error.message))
        placement = _requested(version, delegates, threads)
        return self._on_cpu(model, delegates, placement, cache, digest, attempts)

    def _on_cpu(
        self,
        model: Path | bytes,
        delegates: Sequence[DelegateRequest],
        placement: Placement,
        cache: Path | None,
        digest: str | None,
        attempts: Sequence[Attempt],
    ) -> LoadedModel:
        from ai_edge_litert.compiled_model import CpuKernelMode, CpuOptions

        plain = wants_only_plain_cpu(delegates)
        tensors = _tensors(model)
        with ExitStack() as until_built:
            weights = None
            if cache is not None and not plain:
                engine = f"{self.name} {placement.backend_version}"
                weights = until_built.enter_context(
                    prepared_weights(cache, digest or remembered_digest(cache, model), engine)
                )
            known = weights is not None and weights.is_file()  # kept of what has been looked at
            if not known:
                _unprepared(model)
            options = CpuOptions(
                num_threads=placement.threads,
                kernel_mode=CpuKernelMode.BUILTIN if plain else CpuKernelMode.XNNPACK,
                xnnpack_weight_cache_path="" if weights is None else str(weights),
            )
            try:
                compiled, _ = _compiled(model, gpu=False, cpu_options=options)
            except RuntimeError as error:
                raise as_ours(error, INTERPRETER) from error
            again = CpuOptions(num_threads=placement.threads, kernel_mode=options.kernel_mode)
            return CompiledLiteRtModel(
                compiled,
                tensors,
                model,
                placement,
                attempts,
                anew=lambda: _compiled(model, gpu=False, cpu_options=again)[0],
                known=known,
            )


class CompiledLiteRtModel(LoadedModel):
    """One compiled model, its buffers, and what runs where.

    Args:
        tensors: what goes in and comes out.
        attempts: delegates other than XNNPACK that were tried.
        anew: compiles it again.
        settled: whether the attempts are all there is to tell.
        known: whether it is known that all its operations can be prepared.
    """

    def __init__(
        self,
        compiled: Any,
        tensors: Tensors,
        model: Path | bytes,
        placement: Placement,
        attempts: Sequence[Attempt],
        *,
        anew: Callable[[], Any],
        settled: bool = False,
        known: bool = False,
    ) -> None:
        self._compiled = compiled
        self._anew = anew
        self._model = model
        self._placement = placement
        self._attempts = tuple(attempts)
        self._settled = settled
        self._lock = Lock()
        details = compiled.get_signature_by_index(0)
        self._key = details["key"]
        self.signature = Signature(
            inputs=tuple(tensors.named[name] for name in details["inputs"]),
            outputs=tuple(tensors.named[name] for name in details["outputs"]),
            name=self._key if tensors.signature else DEFAULT_SIGNATURE,
        )
        for tensor in (*self.signature.inputs, *self.signature.outputs):
            if tensor.dtype not in _PASSED:
                raise UnavailableError(
                    f"{tensor.name!r} of the model is {tensor.dtype}, which LiteRT's CompiledModel "
                    "does not pass on.",
                    "Load it with the Interpreter: backend='litert'",
                )
        self._open = any(isinstance(n, str) for t in self.signature.inputs for n in t.shape)
        self._shapes = [tensors.shapes[name] for name in details["inputs"]]
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._readings: list[tuple[Any, int, Any, tuple[int, ...]]] = []
        said: list[bytes] = []
        try:
            with overheard() as said:
                self._make_room()
                if not known:
                    compiled.get_output_tensor_details(self._key)  # prepares all operations
                # Buffers have an environment of their own, which is made, and tells, at the first
                # that is written.
                for buffer, tensor, shape in zip(
                    self._inputs[:1], self.signature.inputs, self._shapes, strict=False
                ):
                    buffer.write(np.zeros(shape, tensor.dtype))
        except (ValueError, RuntimeError) as error:
            reason = RuntimeError(f"{one_line(error)} {complaints(said)}".strip())
            raise as_ours(reason, INTERPRETER) from error

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See ``LoadedModel.run``."""
        self._lock.acquire()  # not ``with``, which would cost as much again
        try:
            if self._open and (shapes := [array.shape for array in inputs]) != self._shapes:
                with overheard():  # what it complains of, it raises as well
                    self._fit(shapes)
            for buffer, array in zip(self._inputs, inputs):  # noqa: B905 - strict costs 0.1 us
                buffer.write(array)
            self._compiled.run_by_index(0, self._inputs, self._outputs)
            return [
                buffer.read(count, dtype).reshape(shape)
                for buffer, count, dtype, shape in self._readings
            ]
        except (ValueError, RuntimeError) as error:
            active = [each.delegate for each in self._attempts if each.active]
            if active:
                raise UnavailableError(
                    f"LiteRT failed with the delegate {active[0]!r}: {one_line(error)}",
                    "Load the model without it.",
                ) from error
            raise UsageError(
                f"LiteRT cannot run the model on these inputs: {one_line(error)}",
                "Check the inputs' shapes and values.",
            ) from error
        finally:
            self._lock.release()

    def placement(self) -> Placement:
        """See ``LoadedModel.placement``. What XNNPACK has is what the same engine's Interpreter
        gives it: both hand it the same graph by the same rules."""
        if self._settled:
            return self._placement_of(self._attempts, self._placement.operations)
        requested = [DelegateRequest(name=name) for name in self._placement.requested]
        interpreter, before = INTERPRETER.prepare(self._model, requested, self._placement.threads)
        _, xnnpack, plain = shares(interpreter, before)
        attempts = list(self._attempts)
        if xnnpack.operations:
            attempts.append(taken("xnnpack", xnnpack))
        elif "xnnpack" in self._placement.requested:
            reason = "it has no kernel for any operation here"
            attempts.append(Attempt(delegate="xnnpack", active=False, reason=reason))
        if plain.operations:
            attempts.append(taken("cpu", plain))
        return self._placement_of(attempts, xnnpack.operations + plain.operations)

    def reset(self) -> None:
        """See ``LoadedModel.reset``: costs a load where the model has variables."""
        if not has_variables(_unprepared(self._model)):
            return  # asked only here: going through the operations costs a third of a load
        with self._lock:
            self._compiled = self._anew()
            with overheard():
                self._fit(self._shapes)

    def close(self) -> None:
        """See ``LoadedModel.close``."""
        with self._lock:
            self._inputs, self._outputs, self._readings = [], [], []
            if self._compiled is not None:
                with overheard():
                    self._compiled.close()
                    self._compiled = None

    def _placement_of(self, attempts: Sequence[Attempt], operations: int | None) -> Placement:
        return Placement(
            backend=self._placement.backend,
            backend_version=self._placement.backend_version,
            requested=self._placement.requested,
            attempts=tuple(attempts),
            operations=operations,
            threads=self._placement.threads,
        )

    def _make_room(self) -> None:
        """Buffers for the shapes as they are, and how to read the outputs."""
        self._inputs = self._compiled.create_input_buffers(0)
        self._outputs = self._compiled.create_output_buffers(0)
        self._readings = []
        for buffer, tensor, shape in zip(
            self._outputs, self.signature.outputs, self._output_shapes(), strict=True
        ):
            self._readings.append(
                (buffer, int(np.prod(shape, dtype=np.int64)), np.dtype(tensor.dtype), shape)
            )

    def _output_shapes(self) -> list[tuple[int, ...]]:
        """As they are now; the engine is asked only if they are open, since that costs a run."""
        fixed = [tensor.shape for tensor in self.signature.outputs]
        if not self._open and all(isinstance(n, int) for shape in fixed for n in shape):
            return fixed  # type: ignore[return-value]
        details = self._compiled.get_output_tensor_details(self._key)
        names = self._compiled.get_signature_by_index(0)["outputs"]
        return [tuple(int(n) for n in details[name]["shape"]) for name in names]

    def _fit(self, shapes: list[tuple[int, ...]]) -> None:
        self._shapes = []  # unknown, until all of it has gone well
        for index, shape in enumerate(shapes):
            self._compiled.resize_input_tensor(index, shape)
        self._make_room()
        self._shapes = shapes


def on_gpu(
    model: Path | bytes,
    delegates: Sequence[DelegateRequest],
    request: DelegateRequest,
    threads: int,
    before: Sequence[Attempt],
) -> LoadedModel:
    """A model on the GPU, what it leaves on the CPU.

    Args:
        model: see ``Backend.open``.
        delegates: all that was asked for.
        request: the GPU among them, with options.
        threads: for what it leaves.
        before: what came of the requests before it.

    Raises:
        UsageError: an option is neither true nor false.
        UnavailableError: there is no adapter, or it does not take the model; says why.
    """
    from ai_edge_litert.compiled_model import CpuKernelMode, CpuOptions, GpuOptions

    options = GpuOptions(**{option: truth(request, option) for option in request.options})
    plain = wants_only_plain_cpu(delegates)
    kernels = CpuKernelMode.BUILTIN if plain else CpuKernelMode.XNNPACK
    try:
        tensors, shown = _tensors(model), _unprepared(model)
        build = partial(
            _compiled,
            model,
            gpu=True,
            cpu_options=CpuOptions(num_threads=threads, kernel_mode=kernels),
            gpu_options=options,
        )
        compiled, said = build()
    except (ValueError, RuntimeError) as error:
        raise UnavailableError(f"it could not take the model: {one_line(error)}") from error
    text = b"".join(said).decode(errors="replace")
    adapter = found[1].strip() if (found := _ADAPTER.search(text)) else "unknown adapter"
    total = sum(1 for _ in shown._get_ops_details())
    left = int(found[2]) if (found := _LEFT.search(text)) else 0
    if left >= total:
        raise UnavailableError("it took none of the model's operations")
    attempts = [
        *before,
        Attempt(
            delegate="gpu",
            active=True,
            operations=total - left,
            reason=f"on {adapter}: {_SOFTWARE}" if "adapterType=CPU" in adapter else "",
            driver=adapter,
        ),
    ]
    seen = {each.delegate for each in attempts}
    attempts += [
        refused(other, _EARLIER)
        for other in delegates
        if other.name not in ("xnnpack", "cpu") and other.name not in seen
    ]
    rest = "cpu" if plain else "xnnpack"
    if left:
        reason = "what the GPU left; how it is shared with the plain kernels is not told"
        attempts.append(
            Attempt(delegate=rest, active=True, operations=left, reason="" if plain else reason)
        )
    elif "xnnpack" in {each.name for each in delegates}:
        attempts.append(Attempt(delegate="xnnpack", active=False, reason="nothing was left for it"))
    placement = _requested(BACKEND.version(), delegates, threads, operations=total)
    return CompiledLiteRtModel(
        compiled, tensors, model, placement, attempts, anew=lambda: build()[0], settled=True
    )


_EARLIER = "an earlier delegate of the list is active"


@lru_cache(maxsize=1)
def _environment() -> Any:
    """LiteRT's environment of this process: it looks for accelerators, once."""
    from ai_edge_litert.compiled_model import Environment

    atexit.register(_silence)
    return Environment.create()


def _silence() -> None:
    """At the very end of the process LiteRT tells stderr which accelerators it takes down."""
    sys.stderr.flush()
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
        os.dup2(nowhere.fileno(), 2)


def _compiled(model: Path | bytes, *, gpu: bool, **options: Any) -> tuple[Any, list[bytes]]:
    """A compiled model and what LiteRT said meanwhile. Raises RuntimeError with the reason."""
    from ai_edge_litert.compiled_model import CompiledModel, HardwareAccelerator, Options

    wanted = HardwareAccelerator.CPU | (HardwareAccelerator.GPU if gpu else 0)
    said: list[bytes] = []
    try:
        with overheard() as said:
            environment = _environment()
            settings = Options(hardware_accelerators=wanted, **options)
            if isinstance(model, bytes):
                compiled = CompiledModel.from_buffer(
                    model, environment=environment, options=settings
                )
            else:
                compiled = CompiledModel.from_file(
                    str(model), environment=environment, options=settings
                )
    except (RuntimeError, ValueError) as error:
        raise RuntimeError(f"{one_line(error)} {complaints(said)}".strip()) from error
    return compiled, said


def _tensors(model: Path | bytes) -> Tensors:
    """What goes in and comes out. Raises what is wrong with the model."""
    if (found := read(model)) is None:
        _unprepared(model)  # says it better
        raise as_ours(ValueError(_NO_FLATBUFFER), INTERPRETER)
    return found


def _unprepared(model: Path | bytes) -> Any:
    """An Interpreter that is only asked what the model is. Raises what is wrong with it."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    content = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    try:
        return Interpreter(
            **content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
    except (ValueError, RuntimeError) as error:
        raise as_ours(error, INTERPRETER) from error


def _refusal(request: DelegateRequest) -> str:
    if request.library or request.name not in REFUSALS:
        return "CompiledModel loads no TFLite delegates; the backend 'litert' does"
    return REFUSALS[request.name]


def _requested(
    version: str,
    delegates: Sequence[DelegateRequest],
    threads: int,
    operations: int | None = 0,
) -> Placement:
    return Placement(
        backend=LiteRtCompiled.name,
        backend_version=version,
        requested=tuple(request.name for request in delegates),
        attempts=(),
        operations=operations,
        threads=threads,
    )


BACKEND = LiteRtCompiled()
