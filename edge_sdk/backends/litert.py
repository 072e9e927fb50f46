"""LiteRT (ai-edge-litert), the living successor of tflite-runtime: its Interpreter, and the GPU.

The Interpreter (``litert_interpreter``) has no GPU delegate; ``CompiledModel``
(``litert_compiled``) has. Nobody who asks for ``gpu`` should have to know that, so such a request
is passed on; where the GPU does not take the model, the Interpreter goes on with what comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_sdk.backends.base import DelegateRequest, LoadedModel
from edge_sdk.backends.litert_interpreter import LiteRtInterpreter
from edge_sdk.spec import Attempt


class LiteRt(LiteRtInterpreter):
    """The backend."""

    def holds_lock(self, delegates: Sequence[str]) -> bool:
        """See ``Backend.holds_lock``: on the GPU it is ``CompiledModel`` that runs."""
        return any(name.partition("?")[0] == "gpu" for name in delegates)

    def _options(self, delegate: str) -> tuple[str, ...]:
        """See ``LiteRtInterpreter``: on the GPU they are ``CompiledModel``'s."""
        if delegate == "gpu":
            from edge_sdk.backends.litert_compiled import GPU_OPTIONS

            return GPU_OPTIONS
        return super()._options(delegate)

    def _elsewhere(
        self,
        model: Path | bytes,
        delegates: Sequence[DelegateRequest],
        request: DelegateRequest,
        threads: int,
        before: Sequence[Attempt],
    ) -> LoadedModel | None:
        """See ``LiteRtInterpreter``: the model on the GPU, if that is what is asked for."""
        if request.name != "gpu":
            return None
        from edge_sdk.backends.litert_compiled import on_gpu

        return on_gpu(model, delegates, request, threads, before)


BACKEND = LiteRt()
