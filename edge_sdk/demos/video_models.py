"""The models of ``edge demo video``: an engine of ours runs them, or MediaPipe Tasks does.

Tasks wants a model that describes itself, so the repository's are wrapped by ``edge convert
--metadata`` first; and a Python of its own, where it is not in this one: the stage then is a
process of that Python.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from edge_sdk.backends import MODULES
from edge_sdk.demos.assets import asset, checkout, mediapipe_python
from edge_sdk.demos.processes import edge
from edge_sdk.errors import UsageError
from edge_sdk.pipeline import Stage
from edge_sdk.pipeline.stages import Model, OwnProcess, Parallel
from edge_sdk.runtime import Session, load
from edge_sdk.runtime.choosing import default_threads
from edge_sdk.text import nearest

MEDIAPIPE = "mediapipe"


@dataclass(frozen=True)
class Repository:
    """One of the repository's models.

    Attributes:
        name: of the asset.
        spec: how it is fed and read, in ``examples``.
        labels: of what it finds.
    """

    name: str
    spec: str
    labels: tuple[str, ...] = ()


NEAR_FACES = Repository("face-detection-short-range", "face_detection/face.toml", ("face",))
FAR_FACES = Repository(
    "face-detection-full-range", "face_detection/face_full_range.toml", ("face",)
)
PERSON = Repository("selfie-segmentation", "selfie_segmentation/selfie.toml")


def asking(
    name: str,
    model: Path | None,
    otherwise: Repository,
    *,
    backend: str | None,
    video: bool,
    live: bool,
    stack: ExitStack,
) -> Stage:
    """The stage that asks a model.

    Of a file the next frame is there already, so each core, up to four, has a copy of the model. A
    live source gives one at a time: its model has half of the cores, what is around it the others.

    Args:
        name: of the stage.
        model: an artifact of the user's.
        otherwise: without one.
        backend: ``mediapipe``, or the name of an engine of ours; None for the best here.
        video: whether the pictures follow each other.
        live: whether they come at their own time.
        stack: closes what is opened.

    Raises:
        EdgeError: the model or the engine cannot be had.
    """
    if backend not in (None, MEDIAPIPE, *MODULES):
        raise UsageError(
            f"There is no backend {backend!r}.", nearest(str(backend), [MEDIAPIPE, *MODULES])
        )
    if backend == MEDIAPIPE:
        artifact = model or _described(otherwise, stack)
        return _by_tasks(name, artifact, video=video, stack=stack)
    cores = default_threads()
    copies, threads = (1, max(1, cores // 2)) if live else (cores, 1)
    sessions = [
        stack.enter_context(_load(model, otherwise, backend, threads)) for _ in range(copies)
    ]
    return Parallel([Model(session, name) for session in sessions])


def _load(model: Path | None, otherwise: Repository, backend: str | None, threads: int) -> Session:
    """An artifact of the user's, or one of the repository's models with its declaration."""
    from edge_sdk.processing import read_processing

    if model is not None:
        return load(model, threads=threads, backend=backend)
    before, after = read_processing(checkout() / "examples" / otherwise.spec)
    return load(
        asset(otherwise.name),
        threads=threads,
        backend=backend,
        preprocess=before,
        postprocess=after,
        labels=otherwise.labels,
    )


def _described(model: Repository, stack: ExitStack) -> Path:
    """The model in an artifact, its file with the metadata that Tasks reads."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    words: list[object] = ["--preprocess", checkout() / "examples" / model.spec]
    if model.labels:
        labels = folder / "labels.txt"
        labels.write_text("\n".join(model.labels) + "\n", encoding="utf-8")
        words += ["--labels", labels]
    artifact = folder / f"{model.name}.edge"
    quick = ("--no-latency", "--golden", "none")  # for this run alone: nothing to be kept
    edge("convert", asset(model.name), "--metadata", *words, *quick, "-o", artifact)
    return artifact


def _by_tasks(name: str, artifact: Path, *, video: bool, stack: ExitStack) -> Stage:
    if find_spec("mediapipe") is not None:
        from edge_sdk.pipeline.stages.tasks import OpenedTasks

        return stack.enter_context(OpenedTasks(str(artifact), name, video))
    return OwnProcess(
        "edge_sdk.pipeline.stages.tasks:OpenedTasks",
        *(str(artifact), name, video),
        name=name,
        python=mediapipe_python(),
        paths=[checkout()],
    )
