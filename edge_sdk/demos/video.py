"""Video filters on the device: ``edge demo video``.

A pipeline as a person would write it: a source, two models of MediaPipe's as they are, a tracker,
two effects, and where the pictures go. Stills are no video: nothing is carried from one picture
to the next, and the detector is the one that sees farther.

    source -> [faces -> tracks] -> [person -> background] -> [blur faces] -> recording, page, …

Who runs the models, ours or MediaPipe Tasks, is ``video_models``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_sdk.broker import Credentials
from edge_sdk.demos.assets import asset
from edge_sdk.demos.video_models import FAR_FACES, NEAR_FACES, PERSON, asking
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline import Frame, Pipeline, PipelineReport, Stage
from edge_sdk.pipeline.metrics import Spread, StageReport
from edge_sdk.pipeline.outputs import (
    JsonLines,
    LivePage,
    MqttTopic,
    PictureFolder,
    Recording,
    Window,
)
from edge_sdk.pipeline.outputs.page import parse_address
from edge_sdk.pipeline.parts import FrameSink, FrameSource
from edge_sdk.pipeline.sinks import VIDEO_CODECS, VIDEO_SUFFIX
from edge_sdk.pipeline.sources import ClipSource, FolderSource, open_source
from edge_sdk.pipeline.stages import Background, BlurFaces, SideBySide, Tracker
from edge_sdk.spec import Boxes, Word
from edge_sdk.text import table

Effect = Literal["faces", "background", "both"]

CLIP = "carphone"
TOPIC = "edgeloop/video"
"""Where answers go if no topic is named."""

_TELL_S = 0.5


class VideoReport(Word, frozen=True, kw_only=True):
    """What ``edge demo video`` did.

    Attributes:
        input, effect, output: as asked for; output is None where only a page was shown.
        page: the live page's address, or None.
        backend: by which the models ran, if one was asked for.
        taken, frames: frames that the source gave, and that got through.
        dropped: the others, by stage and reason.
        missed: what got through and no further, by sink and reason.
        with_faces: in how many of them faces were found; None where none were looked for.
        seconds, fps, age_ms, stages, warnings: as ``edge_sdk.pipeline.PipelineReport``.
    """

    input: str
    effect: str
    output: str | None
    page: str | None
    backend: str | None
    taken: int
    frames: int
    dropped: dict[str, int]
    missed: dict[str, int]
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
        progress: is told how many frames are done, and of how many (0: nobody knows), a few times
            a second; None tells nobody.
    """

    say: Callable[[str], None]
    source: str | None = None
    effect: Effect = "faces"
    background: str | None = None
    output: Path | None = None
    side_by_side: bool = False
    live: str | None = None
    window: bool = False
    mqtt: str | None = None
    mqtt_user: str = ""
    mqtt_password_file: Path | None = None
    backend: str | None = None
    seconds: float | None = None
    lines: Path | None = None
    faces_model: Path | None = None
    person_model: Path | None = None
    progress: Callable[[int, int], None] | None = None

    def run(self) -> VideoReport:
        """Run it to its end.

        Raises:
            EdgeError: a model, the source or the output cannot be had, or something broke.
        """
        self._check()
        source = self._open()
        shown = self._shown(source)
        page = next((each for each in shown if isinstance(each, LivePage)), None)
        target = self._target(source, shown=bool(shown))
        counted = _Counted(self.progress, _length(source))
        sinks = self._told()
        if target is not None:
            sinks.append(_recorder(target, source))
        with ExitStack() as stack:
            stages = self._stages(source, stack)
            pipeline = Pipeline(source, stages, [*sinks, *shown], on_done=counted.count)
            if source.live and not isinstance(source, ClipSource):
                self.say(f"Waiting for {source.name}   Ctrl-C ends it.")
            if page is not None:  # not before there is something to look at
                counted.at_first = lambda: self.say(f"Look at {page.url}   Ctrl-C ends it.")
            try:
                found = self._play(pipeline, until_told=bool(shown) or source.live)
            finally:
                counted.rest()
        if self.mqtt is not None and 0 < found.done == _missed(found, MqttTopic.name):
            raise UnavailableError(
                f"Not one of {found.done} messages got to {self.mqtt}. {' '.join(found.warnings)}",
                "Look at its address, name and password."
                + ("" if target is None else f" The pictures are in {target}."),
            )
        return VideoReport(
            input=self.source or CLIP,
            effect=self.effect,
            output=None if target is None else str(target),
            page=None if page is None else page.url,
            backend=self.backend,
            taken=found.taken,
            frames=found.done,
            dropped=found.dropped,
            missed=found.missed,
            with_faces=None if self.effect == "background" else counted.with_faces,
            seconds=found.seconds,
            fps=found.fps,
            age_ms=found.age_ms,
            stages=found.stages,
            warnings=found.warnings,
        )

    def _check(self) -> None:
        if self.seconds is not None and not 0 < self.seconds <= threading.TIMEOUT_MAX:
            raise UsageError(f"--seconds is {self.seconds:g}.", "--seconds 10")
        idle = {
            "--background": (self.background is not None and self.effect == "faces", "background"),
            "--person-model": (self.person_model is not None and self.effect == "faces", "both"),
            "--faces-model": (self.faces_model is not None and self.effect == "background", "both"),
        }
        for option, (given, effect) in idle.items():
            if given:
                raise UsageError(
                    f"{option} is for another effect than {self.effect}.", f"--effect {effect}"
                )
        if self.mqtt is None and (self.mqtt_user or self.mqtt_password_file):
            raise UsageError("No broker is named.", "--mqtt mqtt://HOST/TOPIC")

    def _open(self) -> FrameSource:
        shown = self.live is not None or self.window
        again = shown and self.output is None
        source = asset(CLIP) if self.source is None else self.source
        return open_source(source, paced=shown, repeat=again)

    def _shown(self, source: FrameSource) -> list[FrameSink]:
        """The live page and the window that are asked for; the page where nothing else would show
        a camera's pictures.
        """
        asked = self.live is not None or self.window
        if not asked and not (source.live and self.output is None):
            return []
        if isinstance(source, FolderSource):
            what = "--window" if self.window else "--live"
            raise UsageError(
                "Pictures from files are over before anybody could look at them.",
                f"Leave out {what}; --output FOLDER",
            )
        title = f"edgeloop: {self.effect}"
        shown: list[FrameSink] = [Window(title)] if self.window else []
        if not self.window or self.live is not None:
            host, port = parse_address(self.live) if self.live else ("127.0.0.1", 0)
            shown.append(LivePage(host, port, title=title))
        return shown

    def _told(self) -> list[FrameSink]:
        """Where the answers go without the pictures."""
        told: list[FrameSink] = []
        if self.lines is not None:
            told.append(JsonLines(self.lines))
        if self.mqtt is not None:
            url, topic = _broker_and_topic(self.mqtt)
            told.append(MqttTopic(url, topic, credentials=self._login()))
        return told

    def _login(self) -> Credentials:
        path = self.mqtt_password_file
        try:
            password = "" if path is None else path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"The password file {path} cannot be read: {error}.", "--mqtt-password-file FILE"
            ) from error
        return Credentials(self.mqtt_user, password)

    def _target(self, source: FrameSource, *, shown: bool) -> Path | None:
        if self.output is None:
            if shown:
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
        how: dict[str, Any] = {"backend": self.backend, "video": not stills, "live": source.live}
        how["stack"] = stack
        if self.effect != "background":
            faces = FAR_FACES if stills else NEAR_FACES
            stages.append(asking("faces", self.faces_model, faces, **how))
            if not stills:
                stages.append(Tracker("faces"))
        if self.effect != "faces":
            stages.append(asking("person", self.person_model, PERSON, **how))
            stages.append(Background("person", self.background or "blur"))
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
    if not report.taken:
        return "\n".join(("No frame has come.", *report.warnings))
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
    lines += [f"{count} missed, {why}" for why, count in report.missed.items()]
    lines += report.warnings
    if report.output:
        lines.append(f"Look at {report.output}")
    return "\n".join(lines)


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} ms"


class _Counted:
    """Counts the frames, and those with faces in them; tells a person how far it is.

    Attributes:
        with_faces: so many.
        at_first: is done at the first frame.
    """

    def __init__(self, progress: Callable[[int, int], None] | None, length: int) -> None:
        self.with_faces = 0
        self.at_first: Callable[[], None] | None = None
        self._progress, self._length = progress, length
        self._frames, self._told_s = 0, time.monotonic()

    def count(self, frame: Frame) -> None:
        """Count one."""
        if self.at_first is not None and not self._frames:
            self.at_first()
        found = frame.answers.get("faces")
        self.with_faces += isinstance(found, Boxes) and bool(found.found)
        self._frames += 1
        if self._progress is not None and time.monotonic() - self._told_s > _TELL_S:
            self._told_s = time.monotonic()
            self._progress(self._frames, self._length)

    def rest(self) -> None:
        """All is done: a line about how far it is would be in the way."""
        if self._progress is not None:
            self._progress(self._length, self._length)


def _missed(report: PipelineReport, sink: str) -> int:
    """What the sink had to leave out."""
    return sum(count for what, count in report.missed.items() if what.startswith(f"{sink}: "))


def _length(source: FrameSource) -> int:
    """How many frames will come, 0 where nobody knows."""
    if isinstance(source, FolderSource):
        return len(source.stills)
    return source.clip.announced if isinstance(source, ClipSource) and not source.live else 0


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

    thread = threading.Thread(target=work, name="pipeline", daemon=True)
    try:
        thread.start()
        while not done.wait(0.2):
            pass
    except KeyboardInterrupt:
        if not thread.is_alive() and not outcome:
            raise  # it came before there was anything to end
        pipeline.stop()
        done.wait()
    (found,) = outcome
    if isinstance(found, BaseException):
        raise found
    report: PipelineReport = found
    return report


def _broker_and_topic(text: str) -> tuple[str, str]:
    """``mqtt://HOST[:PORT]/TOPIC`` as the broker's URL and the topic."""
    scheme, has_scheme, rest = text.partition("://")
    address, _, topic = rest.partition("/")
    return f"{scheme}://{address}" if has_scheme else text, topic or TOPIC


def _is_stills(source: FrameSource) -> bool:
    return isinstance(source, FolderSource)


def _recorder(target: Path, source: FrameSource) -> FrameSink:
    if target.suffix.lower() in VIDEO_CODECS:
        return Recording(target, source.fps, live=source.live)
    return PictureFolder(target)
