"""What a video file's own structure says: whether all of it is there, and how many frames it has.

A decoder's number of frames is a count in some containers (MP4, QuickTime, AVI) and in others
(Matroska, WebM, MPEG-TS, …) its guess: the duration times the rate, which sound that outlasts the
picture and a rate that varies make too many. A file that was cut off is known by its outermost
elements, which say how long they are.

Sources: ISO/IEC 14496-12 (boxes, ``elst``, ``mdhd``), RFC 8794 and RFC 9559 (EBML, Matroska).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot")
"""What an MP4 or QuickTime file may begin with."""
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_TOLERANCE_S = 0.02
_MOST_BOXES = 100_000
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Container:
    """What is known of a file.

    Attributes:
        counted: whether its number of frames is a count of those that are shown.
        cut: whether its end is missing.
    """

    counted: bool = False
    cut: bool = False


def container_of(path: Path) -> Container:
    """What the file's outermost elements say; nothing of a kind that is not known here."""
    with path.open("rb") as file:
        size = path.stat().st_size
        head = file.read(12)
        try:
            if head[4:8] in _BOXES:
                return _boxed(file, size)
            if head.startswith(_EBML):
                return Container(cut=_segment_end(file) > size)
        except (struct.error, IndexError):  # an element that the end of the file goes through
            return Container(cut=True)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return Container(counted=True, cut=8 + struct.unpack("<I", head[4:8])[0] > size)
    return Container()


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    begin: int
    end: int


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[_Box]:
    """The boxes between two places; the last may end beyond."""
    for _ in range(_MOST_BOXES):
        if begin + 8 > end:
            return
        file.seek(begin)
        size, kind = struct.unpack(">I4s", file.read(8))
        start = begin + 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            start += 8
        elif size == 0:  # to the end
            size = end - begin
        if size < start - begin:
            return  # no box at all
        yield _Box(kind, start, begin + size)
        begin += size


def _boxed(file: BinaryIO, size: int) -> Container:
    outer = list(_boxes(file, 0, size))
    moov = next((box for box in outer if box.kind == b"moov"), None)
    counted = moov is not None and moov.end <= size and _all_shown(file, moov)
    return Container(counted=counted, cut=outer[-1].end > size)


def _all_shown(file: BinaryIO, moov: _Box) -> bool:
    """Whether every frame is listed in ``moov``, and no edit list leaves some of them out.

    Programs that shorten a video without encoding it anew keep the frames from the key frame before
    on, and say in an edit list which of them are not to be shown.
    """
    inner = {box.kind: box for box in _boxes(file, moov.begin, moov.end)}
    if b"mvex" in inner or b"mvhd" not in inner:  # in fragments, further on
        return False
    timescale, _ = _duration(file, inner[b"mvhd"])
    for track in _boxes(file, moov.begin, moov.end):
        found = {box.kind: box for box in _within(file, track, (b"edts", b"mdia"))}
        if track.kind != b"trak" or not {b"elst", b"mdhd", b"hdlr"} <= set(found):
            continue
        file.seek(found[b"hdlr"].begin + 8)
        if file.read(4) != b"vide":
            continue
        scale, whole = _duration(file, found[b"mdhd"])
        shown = _shown(file, found[b"elst"])
        if whole / max(1, scale) - shown / max(1, timescale) > _TOLERANCE_S:
            return False
    return True


def _within(file: BinaryIO, box: _Box, folders: tuple[bytes, ...]) -> Iterator[_Box]:
    """The boxes of a box, and those of its folders."""
    for each in _boxes(file, box.begin, box.end):
        yield each
        if each.kind in folders:
            yield from _boxes(file, each.begin, each.end)


def _duration(file: BinaryIO, header: _Box) -> tuple[int, int]:
    """Units a second, and duration in them, of an ``mvhd`` or ``mdhd``."""
    file.seek(header.begin)
    data = file.read(32)
    scale, duration = struct.unpack_from(*((">IQ", data, 20) if data[0] else (">II", data, 12)))
    return scale, duration


def _shown(file: BinaryIO, edits: _Box) -> int:
    """How long an ``elst`` shows of its track, in the film's units."""
    file.seek(edits.begin)
    data = file.read(min(edits.end - edits.begin, _MOST_BYTES))
    layout = ">QqI" if data[0] else ">IiI"
    (count,) = struct.unpack_from(">I", data, 4)
    entries = (
        struct.unpack_from(layout, data, 8 + at * struct.calcsize(layout)) for at in range(count)
    )
    return sum(duration for duration, media_time, _ in entries if media_time >= 0)


def _segment_end(file: BinaryIO) -> int:
    """Where a Matroska file's segment ends by its own word; 0 if it does not say."""
    at = 0
    for _ in range(8):  # its head, then the segment, with padding at most between them
        file.seek(at)
        head = file.read(16)
        wide = 9 - head[0].bit_length()
        first = head[wide]
        length = 9 - first.bit_length()
        body = head[wide : wide + length]
        value = int.from_bytes(body, "big") & ((1 << 7 * length) - 1)
        end = at + wide + length + value
        if head[:wide] == _SEGMENT:
            unknown = value == (1 << 7 * length) - 1  # written while it was not known
            return 0 if unknown else end
        at = end
    return 0
