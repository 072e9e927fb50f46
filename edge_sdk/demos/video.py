"""Video filters on the device: ``edge demo video``.

A pipeline as a person would write it: a source, two models of MediaPipe's as they are, a tracker,
two effects, and where the pictures go. Stills are no video: nothing is carried from one picture
to the next, and the detector is the one that sees farther.

    source -> [faces -> tracks] -> [person -> background] -> [blur faces] -> recording, page, …

Who runs the models, ours or MediaPipe Tasks, is ``video_models``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_sdk.broker import Credentials
from edge_sdk.demos.assets import asset
from edge_sdk.demos.video_files import is_stills, recorder, target_of
from edge_sdk.demos.video_models import FAR_FACES, NEAR_FACES, PERSON, asking
from edge_sdk.demos.video_report import VideoReport
from edge_sdk.demos.watched import Counted, length, run_until_told
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.files import refuse_overwriting
from edge_sdk.pipeline import Pipeline, PipelineReport, Stage
from edge_sdk.pipeline.names import VIDEO_SUFFIX
from edge_sdk.pipeline.outputs import (
    JsonLines,
    LivePage,
    MqttTopic,
    Window,
)
from edge_sdk.pipeline.outputs.page import parse_address
from edge_sdk.pipeline.parts import FrameSink, FrameSource
from edge_sdk.pipeline.sources import ClipSource, FolderSource, open_source
from edge_sdk.pipeline.sources.files import files_of
from edge_sdk.pipeline.stages import Background, BlurFaces, SideBySide, Tracker

Effect = Literal["faces", "background", "both"]

CLIP = "carphone"
TOPIC = "edgeloop/video"
"""Where answers go if no topic is named."""
_MQTT = "mqtt"


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
        counted = Counted(self.progress, length(source))
        sinks = self._told()
        if target is not None:
            sinks.append(recorder(target))
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
        if self.mqtt is not None and 0 < found.done == _missed(found, _MQTT):
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
            told.append(MqttTopic(url, topic, credentials=self._login(), name=_MQTT))
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
        """Where the pictures go, if anywhere; nothing that is read is written over."""
        if self.output is not None:
            target = target_of(self.output, source)
        elif shown:
            target = None
        else:
            target = Path(f"demo-{self.effect}{'' if is_stills(source) else VIDEO_SUFFIX}")
        room = Path(self.background) if self.background else None
        named = [room, self.faces_model, self.person_model, self.mqtt_password_file]
        outputs = {"--output": target, "--lines": self.lines}
        refuse_overwriting(outputs, [*files_of(source), *named])
        return target

    def _stages(self, source: FrameSource, stack: ExitStack) -> list[Stage]:
        stills = is_stills(source)
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
            return run_until_told(pipeline) if until_told else pipeline.run()
        finally:
            if timer is not None:
                timer.cancel()


def _broker_and_topic(text: str) -> tuple[str, str]:
    """``mqtt://HOST[:PORT]/TOPIC`` as the broker's URL and the topic."""
    scheme, has_scheme, rest = text.partition("://")
    address, _, topic = rest.partition("/")
    return f"{scheme}://{address}" if has_scheme else text, topic or TOPIC


def _missed(report: PipelineReport, sink: str) -> int:
    """What the sink had to leave out."""
    return sum(count for what, count in report.missed.items() if what.startswith(f"{sink}: "))
