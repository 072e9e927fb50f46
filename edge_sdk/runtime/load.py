"""Loading: from a path to a session, by way of the variant and the engine that fit this machine.

Here it is decided which way is taken: the fastest (``auto``) or the one that is asked for; held to
the golden vectors (``trial``) or not; now or when it is needed (``lazy``). What is found at the
path, and how it is opened, is ``opening``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from edge_sdk.backends.delegates import asks_for_auto, read_requests
from edge_sdk.errors import UsageError
from edge_sdk.files import cache_folder
from edge_sdk.runtime.lazy import lazy_session
from edge_sdk.runtime.loading import Loading
from edge_sdk.runtime.model_file import is_artifact
from edge_sdk.runtime.opening import Found, Opening, bare, in_artifact, thread_count
from edge_sdk.runtime.session import Session
from edge_sdk.runtime.trial import Trial
from edge_sdk.spec import InputLimits, Postprocess, Preprocess
from edge_sdk.spec.contents import GOLDEN
from edge_sdk.text import nearest

Readiness = Literal["lazy", "loaded", "warmed"]


def load(
    path: str | os.PathLike[str],
    *,
    delegates: Iterable[str] | None = None,
    strict: bool = False,
    threads: int | None = None,
    variant: str | None = None,
    backend: str | None = None,
    preprocess: Preprocess | None = None,
    postprocess: Postprocess | None = None,
    labels: Sequence[str] = (),
    raw: bool = False,
    finite: bool = False,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    check: bool = True,
    guard: InputLimits | bool = True,
    ready: Readiness = "loaded",
    cache: str | os.PathLike[str] | None = None,
) -> Session:
    """Load a model and make it ready to run.

    Args:
        path: an artifact (``.edge``, or its unpacked folder), or a bare ``.tflite`` or ``.onnx``.
        delegates: names in order of preference (``["gpu", "xnnpack"]``) or paths of delegate
            libraries; None takes the engine's best CPU path; ``"auto"`` measures engines, delegates
            and numbers of threads once, and takes the fastest that answers rightly (``auto``). What
            came of them is in ``session.placement``.
        strict: refuse to load unless the first delegate is active and nothing runs elsewhere than
            on the delegates listed.
        threads: for CPU kernels; None takes this process's cores, up to four.
        variant: id of the variant to run; None takes, of those that an engine here can run, the
            one that is fastest on a small CPU (``spec.choice.PREFERENCE``).
        backend: name of the engine; None takes the first that reads the variant's format.
        preprocess, postprocess, labels: for a bare model; an artifact brings its own.
        raw: give outputs as the engine does, quantized integers included.
        finite: refuse inputs that hold a NaN or an infinity; that looks at every number.
        shapes: by input name, for which ``"auto"`` is to find the fastest way where the signature
            leaves lengths open and no golden vectors have any; such a length is otherwise 1.
        check: run an artifact's golden vectors the first time that it is loaded this way on this
            machine, and do without a delegate that answers wrongly (``trial``).
        guard: what the session refuses to ask the model about (``session.guard``): True takes the
            limits that an artifact declares, False none, and limits take their place.
        ready: ``"lazy"`` opens an artifact's model when it is first run, ``"loaded"`` now, and
            ``"warmed"`` runs it once besides, for what engines leave to the first run.
        cache: a folder for what can be kept from one load to the next: prepared weights, an
            artifact's model unpacked so that it can be mapped, what was measured and proven. None
            keeps the last two alone, in the user's cache.

    Raises:
        UsageError: no such file, not a model, an unknown delegate, variant or backend, or limits
            that do not fit the model.
        UnavailableError: no engine here can run it, ``strict`` was not satisfied, or no way of
            running it here gives the right numbers.
        ArtifactError: the artifact is corrupt.
    """
    path = Path(path)
    if ready not in get_args(Readiness):
        raise UsageError(f"A session is not made {ready!r}.", nearest(ready, get_args(Readiness)))
    kept = None if cache is None else Path(cache)
    memory = kept or cache_folder() / "runtime"
    if delegates is not None and asks_for_auto(delegates):
        from edge_sdk.runtime.auto import fastest

        choice = fastest(
            path, memory, variant=variant, backend=backend, threads=threads, shapes=shapes
        )
        variant, backend = choice.variant, choice.backend
        delegates, threads = choice.delegates, choice.threads
    requests = read_requests(delegates or ())
    count = thread_count(threads)
    if is_artifact(path):
        found = in_artifact(path, variant, backend, kept)
    else:
        if ready == "lazy" and variant is None:
            raise UsageError(
                f"{path} is a bare model: what it takes is known when it is open.",
                f"Leave out ready='lazy', or wrap it: edge convert {path} -o model.edge",
            )
        found = bare(
            path, variant, backend, preprocess=preprocess, postprocess=postprocess, labels=labels
        )
    loading = Loading(
        opening=Opening(
            found=found,
            requests=requests,
            threads=count,
            raw=raw,
            finite=finite,
            cache=kept,
            limits=_limits(found, guard),
        ),
        strict=strict,
        trial=_trial(found, memory / "verdicts") if check else None,
    )
    if ready == "lazy" and found.built is not None:
        return lazy_session(loading, found.built)
    model, disqualified = loading.opened()
    try:
        session = loading.opening.session(model, disqualified)
        if ready == "warmed":
            session.warm_up()
    except BaseException:
        model.close()
        raise
    return session


def _limits(found: Found, guard: InputLimits | bool) -> InputLimits | None:
    if isinstance(guard, InputLimits):
        return guard
    if not isinstance(guard, bool):
        raise UsageError(
            f"A {type(guard).__name__} is no guard.", "guard=InputLimits(…), or False for none"
        )
    return found.manifest.guard if guard and found.manifest is not None else None


def _trial(found: Found, folder: Path) -> Trial | None:
    """What it is held to; None where it brings no golden vectors."""
    manifest, variant = found.manifest, found.variant
    if manifest is None or variant is None or GOLDEN not in manifest.files:
        return None
    return Trial(found.path, manifest, variant, found.engine, folder)
