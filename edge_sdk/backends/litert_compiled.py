"""LiteRT's CompiledModel: prepared weights that outlive the process, and the GPU.

What it does that one must know:

* ``GPU|CPU`` without a graphics adapter raises; it does not fall back. ``is_fully_accelerated()``
  is true of a plain CPU as well. How many operations the GPU left, and on which adapter it runs, it
  says only in its log, so the log is heard.
* It computes in half precision on the GPU, unless told ``enforce_f32``.

What one must know of a model once it is there is in ``litert_compiled_model``.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from edge_sdk.backends import vulkan
from edge_sdk.backends.base import DelegateRequest, LoadedModel
from edge_sdk.backends.delegates import EARLIER, OWN, check_options, truth, wants_only_plain_cpu
from edge_sdk.backends.litert_compiled_model import CompiledLiteRtModel, plain_words, unprepared
from edge_sdk.backends.litert_interpreter import INTERPRETER, REFUSALS, as_ours, refused
from edge_sdk.backends.notices import overheard
from edge_sdk.backends.processor import cpuinfo, flags
from edge_sdk.backends.tflite_tensors import read
from edge_sdk.backends.weight_cache import SUFFIX, prepared_weights, remembered_digest
from edge_sdk.errors import UnavailableError
from edge_sdk.spec import Attempt, Format, Placement

GPU_OPTIONS = (
    "enforce_f32",
    "constant_tensor_sharing",
    "infinite_float_capping",
    "benchmark_mode",
    "allow_src_quantized_fc_conv_ops",
    "hint_waiting_for_completion",
)
"""LiteRT's own names, each true or false."""

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
        self.version()
        attempts: list[Attempt] = []
        check_options(self.name, delegates, lambda name: GPU_OPTIONS if name == "gpu" else ())
        own = False
        for request in delegates:
            if request.name in OWN:
                own = True
                continue
            if own or request.name != "gpu":
                attempts.append(refused(request, EARLIER if own else _refusal(request)))
                continue
            try:
                return on_gpu(model, delegates, request, threads, attempts)
            except UnavailableError as error:
                attempts.append(refused(request, error.message))
        return self._on_cpu(model, delegates, threads, cache, digest, attempts)

    def _on_cpu(
        self,
        model: Path | bytes,
        delegates: Sequence[DelegateRequest],
        threads: int,
        cache: Path | None,
        digest: str | None,
        attempts: Sequence[Attempt],
    ) -> LoadedModel:
        from ai_edge_litert.compiled_model import CpuKernelMode, CpuOptions

        plain = wants_only_plain_cpu(delegates)
        kernels = CpuKernelMode.BUILTIN if plain else CpuKernelMode.XNNPACK
        placement = _requested(self, delegates, threads)

        def compiled(weights: str = "") -> Any:
            options = CpuOptions(
                num_threads=threads, kernel_mode=kernels, xnnpack_weight_cache_path=weights
            )
            return _compiled(model, gpu=False, cpu_options=options)[0]

        def ready(weights: Path | None = None) -> LoadedModel:
            # Weights are kept only of a model that was found good: it need not be looked at again.
            found = weights is not None and weights.suffix == SUFFIX  # else it is to be written
            kept = read(model) if found else None
            shown = unprepared(model) if kept is None else kept
            made = compiled("" if weights is None else str(weights))
            return CompiledLiteRtModel(made, shown, model, placement, attempts, anew=compiled)

        try:
            if cache is None or plain:
                return ready()
            known = digest or remembered_digest(cache, model)
            # Weights are laid out for the kernels, and those are chosen by the processor.
            here = " ".join(
                (placement.backend, placement.backend_version, *sorted(flags(cpuinfo())))
            )
            with prepared_weights(cache, known, here) as weights:
                return ready(weights)
        except RuntimeError as error:
            raise as_ours(error, INTERPRETER) from error


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
        shown = unprepared(model)
        build = partial(
            _compiled,
            model,
            gpu=True,
            cpu_options=CpuOptions(num_threads=threads, kernel_mode=kernels),
            gpu_options=options,
        )
        compiled, said = build()
    except (ValueError, RuntimeError) as error:
        raise UnavailableError(_no_gpu(str(error))) from error
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
            driver=", ".join(filter(None, (adapter, vulkan.drivers()))),
        ),
    ]
    seen = {each.delegate for each in attempts}
    attempts += [
        refused(other, EARLIER)
        for other in delegates
        if other.name not in OWN and other.name not in seen
    ]
    rest = "cpu" if plain else "xnnpack"
    if left:
        reason = "what the GPU left; how it is shared with the plain kernels is not told"
        attempts.append(
            Attempt(delegate=rest, active=True, operations=left, reason="" if plain else reason)
        )
    elif "xnnpack" in {each.name for each in delegates}:
        attempts.append(Attempt(delegate="xnnpack", active=False, reason="nothing was left for it"))
    placement = _requested(BACKEND, delegates, threads, operations=total)
    return CompiledLiteRtModel(
        compiled, shown, model, placement, attempts, anew=lambda: build()[0], settled=True
    )


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
        raise RuntimeError(plain_words(error, said)) from error
    return compiled, said


_vulkan: list[str] = []
"""Why Vulkan cannot be loaded: LiteRT says so at the first try alone."""


def _no_gpu(said: str) -> str:
    """Why the GPU does not take the model, from what LiteRT says of it."""
    if "No adapters found" not in said:
        return f"it could not take the model: {said}"
    _vulkan.extend(f": {each}" for each in re.findall(r"Couldn't load Vulkan[^;]*", said))
    why = next(iter(_vulkan), "")
    return (
        f"No adapters found: no graphics processor that Vulkan reaches{why}; its driver may be "
        "lacking, see edge doctor"
    )


def _refusal(request: DelegateRequest) -> str:
    if request.library or request.name not in REFUSALS:
        return "CompiledModel loads no TFLite delegates; the backend 'litert' does"
    return REFUSALS[request.name]


def _requested(
    backend: LiteRtCompiled,
    delegates: Sequence[DelegateRequest],
    threads: int,
    operations: int | None = 0,
) -> Placement:
    return Placement(
        backend=backend.name,
        backend_version=backend.version(),
        requested=tuple(request.name for request in delegates),
        attempts=(),
        operations=operations,
        threads=threads,
    )


BACKEND = LiteRtCompiled()
