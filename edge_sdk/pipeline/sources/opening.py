"""The source behind what a person types."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Clip, Still, open_sources
from edge_sdk.pipeline.parts import FrameSource
from edge_sdk.pipeline.sources.boards import GStreamerSource, PiCamera, nvargus
from edge_sdk.pipeline.sources.camera import Camera
from edge_sdk.pipeline.sources.files import ClipSource, FolderSource
from edge_sdk.pipeline.sources.network import NetworkStream
from edge_sdk.pipeline.sources.synthetic import Synthetic

_CARD = re.compile(r"synthetic(?::(\d+)x(\d+))?(?:@(\d+(?:\.\d+)?))?(?:x(\d+))?")
_VIDEO_DEVICE = re.compile(r"/dev/video\d+|/dev/v4l/.*")


def open_source(text: str | Path, *, paced: bool = False, repeat: bool = False) -> FrameSource:
    """A source by its name, as listed in ``edge_sdk.pipeline.sources``.

    Args:
        text: the name.
        paced: a video is given at its own pace, not as fast as it can be read.
        repeat: a video begins again at its end.

    Raises:
        UsageError: it is nothing that can be read.
        UnavailableError: a device or a library is not here.
    """
    word = str(text)
    if not word.strip():
        raise UsageError("No source is named.", "For example 0, clip.mp4, rtsp://192.168.1.20/x")
    if card := _CARD.fullmatch(word):
        return _test_card(card, paced)
    return _device(word) or _file(Path(word), paced, repeat)


def _device(word: str) -> FrameSource | None:
    """What takes pictures by itself; None if it is a path."""
    scheme, _, rest = word.partition(":")
    if word.isdecimal() or _VIDEO_DEVICE.fullmatch(word):
        return Camera(word)
    if "://" in word:
        return NetworkStream(word)
    if scheme == "picamera":
        return PiCamera(_number(word, rest))
    if scheme == "nvargus":
        return GStreamerSource(nvargus(_number(word, rest)))
    return GStreamerSource(rest) if scheme == "gstreamer" else None


def _file(path: Path, paced: bool, repeat: bool) -> FrameSource:
    sources = open_sources([path])
    if isinstance(sources[0], Clip):
        return ClipSource(sources[0], paced=paced, repeat=repeat)
    return FolderSource(
        [each for each in sources if isinstance(each, Still)], path.name or str(path)
    )


def _number(word: str, rest: str) -> int:
    if ":" in word and not rest.isdecimal():
        raise UsageError(f"{word!r} names no camera.", f"{word.partition(':')[0]}:0")
    return int(rest or 0)


def _test_card(card: re.Match[str], paced: bool) -> Synthetic:
    width, height, fps, frames = card.groups()
    wishes: dict[str, Any] = {"live": paced or frames is None}
    if width:
        wishes |= {"width": int(width), "height": int(height)}
    if fps:
        wishes["fps"] = float(fps)
    if frames:
        wishes["frames"] = int(frames)
    return Synthetic(**wishes)
