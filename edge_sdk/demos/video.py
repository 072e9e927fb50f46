"""Video filters on the device: ``edge demo video``.

A pipeline as a person would write it: a source, two models of MediaPipe's as they are, a tracker,
two effects, and where the pictures go. Stills are no video: nothing is carried from one picture
to the next, and the detector is the one that sees farther.

    source -> [faces -> tracks] -> [person -> background] -> [blur faces] -> recording, page, lines
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_sdk.demos.assets import asset, checkout
from edge_sdk.errors import UsageError
from edge_sdk.pipeline import Frame, Pipeline, PipelineReport, Stage
from edge_sdk.pipeline.metrics import Spread, StageReport
from edge_sdk.pipeline.outputs import JsonLines, LivePage, PictureFolder, Recording
from edge_sdk.pipeline.outputs.page import parse_address
from edge_sdk.pipeline.pipeline import FrameSink, FrameSource
from edge_sdk.pipeline.sinks import VIDEO_CODECS, VIDEO_SUFFIX
from edge_sdk.pipeline.sources import FolderSource, open_source
from edge_sdk.pipeline.stages import Background, BlurFaces, Model, SideBySide, Tracker
from edge_sdk.runtime import Session, load
from edge_sdk.spec import Boxes, Word
from edge_sdk.text import table

Effect = Literal["faces", "background", "both"]

CLIP = "carphone"
_SHORT = ("face-detection-short-range", "face_detection/face.toml")
_FULL = ("face-detection-full-range", "face_detection/face_full_range.toml")
_PERSON = ("selfie-segmentation", "selfie_segmentation/selfie.toml")


class VideoReport(Word, frozen=True, kw_only=True):
    """What ``edge demo video`` did.

    Attributes:
        input, effect, output: as asked for; output is None where only a page was shown.
        page: the live page's address, or None.
        taken, frames: frames that the source gave, and that got through.
        dropped: the others, by stage and reason.
        with_faces: in how many of them faces were found; None where none were looked for.
        seconds, fps, age_ms, stages, warnings: as ``edge_sdk.pipeline.PipelineReport``.
    """

    input: str
    effect: str
    output: str | None
    page: str | None
    taken: int
    frames: int
    dropped: dict[str, int]
    with_faces: int | None
    seconds: float
    fps: float
    age_ms: Spread
    stages: dict[str, StageReport]
    warnings: tuple[str, ...]


@dataclass
class VideoDemo:
    """One run; the fields are the command's options.

    Attributes:
        source: what ``open_source`` takes; None is the repository's clip.
        say: prints a line for a person.
    """

    say: Callable[[str], None]
    source: str | None = None
    effect: Effect = "faces"
    background: str = "blur"
    output: Path | None = None
    side_by_side: bool = False
    live: str | None = None
    seconds: float | None = None
    lines: Path | None = None
    faces_model: Path | None = None
    person_model: Path | None = None

    def run(self) -> VideoReport:
        """Run it to its end.

        Raises:
            EdgeError: a model, the source or the output cannot be had, or something broke.
        """
        if self.seconds is not None and not self.seconds > 0:
            raise UsageError(f"--seconds is {self.seconds:g}.", "--seconds 10")
        source = self._open()
        page = self._page(source)
        target = self._target(source, page)
        counted = _Counted()
        with ExitStack() as stack:
            stages = self._stages(source, stack)
            sinks: list[FrameSink] = [counted]
            if target is not None:
                sinks.append(_recorder(target, source))
            if page is not None:
                sinks.append(page)
            if self.lines is not None:
                sinks.append(JsonLines(self.lines))
            pipeline = Pipeline(source, stages, sinks)
            if page is not None:
                self.say(f"Look at {page.url}   Ctrl-C ends it.")
            found = self._play(pipeline, until_told=page is not None or source.live)
        return VideoReport(
            input=self.source or CLIP,
            effect=self.effect,
            output=None if target is None else str(target),
            page=None if page is None else page.url,
            taken=found.taken,
            frames=found.done,
            dropped=found.dropped,
            with_faces=None if self.effect == "background" else counted.with_faces,
            seconds=found.seconds,
            fps=found.fps,
            age_ms=found.age_ms,
            stages={name: each for name, each in found.stages.items() if name != counted.name},
            warnings=found.warnings,
        )

    def _open(self) -> FrameSource:
        shown = self.live is not None
        again = shown and self.output is None
        return open_source(self.source or asset(CLIP), paced=shown, repeat=again)

    def _page(self, source: FrameSource) -> LivePage | None:
        """The live page, if it is asked for, or if nothing else would show a camera's pictures."""
        if self.live is None and not (source.live and self.output is None):
            return None
        if isinstance(source, FolderSource):
            raise UsageError(
                "A folder of pictures is over before anybody could look at a page.",
                "Leave out --live; --output FOLDER",
            )
        host, port = parse_address(self.live) if self.live else ("127.0.0.1", 0)
        return LivePage(host, port, title=f"edgeloop: {self.effect}")

    def _target(self, source: FrameSource, page: LivePage | None) -> Path | None:
        if self.output is None:
            if page is not None:
                return None
            return Path(f"demo-{self.effect}{'' if _is_stills(source) else VIDEO_SUFFIX}")
        suffix = self.output.suffix.lower()
        if _is_stills(source) and suffix:
            raise UsageError(
                f"Pictures go to a folder, not to {self.output}.",
                f"--output {self.output.with_suffix('')}",
            )
        if not _is_stills(source) and suffix and suffix not in VIDEO_CODECS:
            raise UsageError(
                f"{self.output} does not end as a video that OpenCV writes.",
                f"--output {self.output.with_suffix(VIDEO_SUFFIX)}",
            )
        if self.source and suffix and self.output.resolve() == Path(self.source).resolve():
            raise UsageError(
                f"{self.output} is the input and would be overwritten.", "--output another.mp4"
            )
        return self.output

    def _stages(self, source: FrameSource, stack: ExitStack) -> list[Stage]:
        stills = _is_stills(source)
        beside = SideBySide()
        stages: list[Stage] = []
        if self.effect != "background":
            detector = _load(self.faces_model, *(_FULL if stills else _SHORT), labels=("face",))
            stages.append(Model(stack.enter_context(detector), "faces"))
            if not stills:
                stages.append(Tracker("faces"))
        if self.effect != "faces":
            person = stack.enter_context(_load(self.person_model, *_PERSON))
            stages += [Model(person, "person"), Background("person", self.background)]
        if self.effect != "background":
            stages.append(BlurFaces("faces" if stills else "tracks"))
        if self.side_by_side:
            stages = [beside.keep, *stages, beside]
        return stages

    def _play(self, pipeline: Pipeline, *, until_told: bool) -> PipelineReport:
        timer = None
        if self.seconds is not None:
            timer = threading.Timer(self.seconds, pipeline.stop)
            timer.daemon = True
            timer.start()
        try:
            return _until_told(pipeline) if until_told else pipeline.run()
        finally:
            if timer is not None:
                timer.cancel()


def described(report: VideoReport) -> str:
    """The report for a person."""
    rows = [
        (name, str(each.frames), *(_ms(value) for value in (each.ms.p50, each.ms.p99)))
        for name, each in report.stages.items()
    ]
    lines = [table(("stage", "frames", "p50", "p99"), rows, "<>>>"), ""]
    faces = "" if report.with_faces is None else f", faces in {report.with_faces}"
    lines.append(
        f"{report.frames} of {report.taken} frames{faces}; {report.fps:.1f} frames a second, "
        f"age at the end p50 {_ms(report.age_ms.p50)}, p99 {_ms(report.age_ms.p99)}"
    )
    lines += [f"{count} dropped, {why}" for why, count in report.dropped.items()]
    lines += report.warnings
    if report.output:
        lines.append(f"Look at {report.output}")
    return "\n".join(lines)


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} ms"


class _Counted:
    """Counts the frames with faces in them."""

    name = "counted"

    def __init__(self) -> None:
        self.with_faces = 0

    def take(self, frame: Frame) -> None:
        """Count one."""
        found = frame.answers.get("faces")
        self.with_faces += isinstance(found, Boxes) and bool(found.found)


def _until_told(pipeline: Pipeline) -> PipelineReport:
    """Run a pipeline whose good end is Ctrl-C: what it records is then finished, and kept."""
    outcome: list[Any] = []
    done = threading.Event()

    def work() -> None:
        try:
            outcome.append(pipeline.run())
        except BaseException as error:  # noqa: BLE001 - raised below, in the main thread
            outcome.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name="pipeline", daemon=True).start()
    try:
        while not done.wait(0.2):
            pass
    except KeyboardInterrupt:
        pipeline.stop()
        done.wait()
    (found,) = outcome
    if isinstance(found, BaseException):
        raise found
    report: PipelineReport = found
    return report


def _is_stills(source: FrameSource) -> bool:
    return isinstance(source, FolderSource)


def _recorder(target: Path, source: FrameSource) -> FrameSink:
    if target.suffix.lower() in VIDEO_CODECS:
        return Recording(target, source.fps, live=source.live)
    return PictureFolder(target)


def _load(model: Path | None, name: str, spec: str, labels: tuple[str, ...] = ()) -> Session:
    """An artifact of the user's, or one of the repository's models with its declaration."""
    from edge_sdk.processing import read_processing
    from edge_sdk.runtime.choosing import default_threads

    # Decoding and drawing want the other half of the cores.
    threads = max(1, default_threads() // 2)
    if model is not None:
        return load(model, threads=threads)
    before, after = read_processing(checkout() / "examples" / spec)
    path = asset(name)
    return load(path, threads=threads, preprocess=before, postprocess=after, labels=labels)
