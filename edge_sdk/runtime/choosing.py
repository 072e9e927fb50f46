"""What is chosen where nothing is said: the variant, the engine, the number of threads.

By rule, without running anything. What is found out by measuring is ``auto``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.backends import MODULES, Backend, backend, backend_for
from edge_sdk.errors import ArtifactError, EdgeError, UnavailableError, UsageError
from edge_sdk.machine.cores import usable_cores
from edge_sdk.runtime.model_file import bare_format
from edge_sdk.spec import Variant
from edge_sdk.spec.choice import by_preference, runs

if TYPE_CHECKING:
    from edge_sdk.artifact import Artifact

MAX_DEFAULT_THREADS = 4


def default_threads() -> int:
    """As many as this process may use, up to four: small models gain nothing beyond."""
    return min(MAX_DEFAULT_THREADS, usable_cores())


def choose(
    artifact: Artifact, variant_id: str | None = None, backend_name: str | None = None
) -> tuple[Variant, Backend]:
    """The variant to run and the engine to run it.

    Raises:
        UsageError: there is no such variant or backend, or they do not go together.
        UnavailableError: no engine here runs any of the artifact's variants.
    """
    names = None if backend_name is None else (backend_name,)
    if backend_name is not None:
        _ = backend(backend_name)
    if variant_id is not None:
        candidates = [artifact.variant(variant_id)]
    else:
        candidates = by_preference(artifact.variants)
    if not candidates:
        raise ArtifactError(f"{artifact.path} lacks the files of every variant it describes.")
    readers = {name for v in candidates for name in MODULES if runs(name, v)}
    if backend_name is not None and backend_name not in readers:
        raise _does_not_run(backend_name, artifact.path, sorted(readers))
    refusals: list[EdgeError] = []
    for candidate in candidates:
        engines = tuple(name for name in names or MODULES if runs(name, candidate))
        if names and not engines:
            continue  # another of the variants is what is asked for
        try:
            return candidate, backend_for(candidate.format, engines)
        except UnavailableError as error:
            refusals.append(error)
    raise refusals[0]


def bare_engine(path: Path, backend_name: str | None) -> Backend:
    """The engine to run a bare model.

    Raises:
        UsageError: it is no model, there is no such backend, or they do not go together.
        UnavailableError: no engine here runs it.
    """
    model_format = bare_format(path)
    if backend_name is None:
        return backend_for(model_format)
    if model_format not in backend(backend_name).formats:
        readers = [name for name in MODULES if model_format in backend(name).formats]
        raise _does_not_run(backend_name, path, readers)
    return backend_for(model_format, (backend_name,))


def _does_not_run(backend_name: str, path: Path, readers: Iterable[str]) -> UsageError:
    return UsageError(
        f"The backend {backend_name!r} does not run {path}.",
        f"These do: {', '.join(readers) or 'none'}.",
    )
