"""WAV, read as it comes: what a recorder left, and what a program writes that cannot seek back.

Integers of 8, 16, 24 and 32 bits and floats become samples of 16 bits; plain, or as
WAVE_FORMAT_EXTENSIBLE. A program that writes to a pipe has to state a length before it knows any:
espeak-ng says 0x7ffff000 and more, sox and ffmpeg 0xffffffff, others 0. Such a length means "to
the end"; any other is believed, so that what is cut off is known to be.
Source: Microsoft's "Multiple channel audio data and WAVE files"; EBU Tech 3306 for RF64.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

FORMS = (b"RIFF", b"RF64")
_UNKNOWN_FROM = 0x7FF00000
"""Lengths from here on, of two gigabytes, are no lengths."""
_EXTENSIBLE, _INTEGER, _FLOAT = 0xFFFE, 1, 3
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_OTHERS = {2: "ADPCM", 6: "A-law", 7: "µ-law", 0x11: "IMA ADPCM", 0x31: "GSM 6.10", 0x55: "MP3"}
_WIDTHS = {_INTEGER: (1, 2, 3, 4), _FLOAT: (4, 8)}
_PIECE = 64 * 1024


class Source(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """So many, fewer at the end."""


class NoWav(Exception):
    """Why it cannot be read: ends a sentence."""


@dataclass(frozen=True, slots=True)
class Wav:
    """What the header says.

    Attributes:
        rate_hz: frames a second.
        channels: samples a frame.
        width: bytes a sample.
        is_float: floats from -1 to 1, else integers.
        length: bytes of sound; None where whoever wrote it did not know.
    """

    rate_hz: int
    channels: int
    width: int
    is_float: bool
    length: int | None

    @property
    def frame(self) -> int:
        """Bytes a frame."""
        return self.width * self.channels

    def to_16_bit(self, pcm: bytes) -> npt.NDArray[np.int16]:
        """Samples of 16 bits of whole frames; what floats have beyond full scale is cut."""
        if self.is_float:
            scaled = np.frombuffer(pcm, f"<f{self.width}") * 32768.0
            return np.clip(np.nan_to_num(np.round(scaled)), -32768, 32767).astype(np.int16)
        if self.width == 1:  # the only one that is unsigned
            return (np.frombuffer(pcm, np.uint8).astype(np.int16) - 128) * 256
        parts = np.frombuffer(pcm, np.uint8).reshape(-1, self.width)
        highest: npt.NDArray[np.int16] = np.ascontiguousarray(parts[:, -2:]).view("<i2")
        return highest.ravel()


def read_header(stream: Source) -> Wav:
    """Read up to the first byte of sound.

    Raises:
        NoWav: it is none, ends too early, or its samples are of a kind that is not read.
    """
    form, size, kind = struct.unpack("<4sI4s", _take(stream, 12))
    if form not in FORMS or kind != b"WAVE":
        raise NoWav("it does not begin as one")
    at, long_length = 12, None
    sound: tuple[int, int, int, bool] | None = None
    while True:
        name, length = struct.unpack("<4sI", _take(stream, 8))
        at += 8
        if name == b"data":
            break
        content = _take(stream, length + length % 2, 64)
        at += length + length % 2
        if name == b"fmt ":
            sound = _format(content[:length])
        elif name == b"ds64" and length >= 16:
            long_length = struct.unpack_from("<Q", content, 8)[0]
    if sound is None:
        raise NoWav("it does not say of what kind its samples are")
    if form == b"RF64" and long_length is not None and length == 0xFFFFFFFF:
        return Wav(*sound, long_length)
    nothing = length == 0 and at < size + 8 < _UNKNOWN_FROM  # something else follows no sound
    is_unknown = length >= _UNKNOWN_FROM or (length == 0 and not nothing)
    return Wav(*sound, None if is_unknown else length)


def _format(content: bytes) -> tuple[int, int, int, bool]:
    if len(content) < 16:
        raise NoWav("it ends in its header")
    tag, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", content)
    if tag == _EXTENSIBLE and len(content) >= 40 and content[26:40] == _GUID_TAIL:
        tag = struct.unpack_from("<H", content, 24)[0]
    if tag not in _WIDTHS:
        raise NoWav(f"its samples are {_OTHERS.get(tag, f'of format 0x{tag:04x}')}")
    width = (bits + 7) // 8
    if width not in _WIDTHS[tag] or (channels and align != width * channels):
        kind = "floats" if tag == _FLOAT else "integers"
        raise NoWav(f"its samples are {kind} of {bits} bits, {align} bytes for {channels} channels")
    return rate, channels, width, tag == _FLOAT


def _take(stream: Source, size: int, keep: int = 64) -> bytes:
    """The next bytes, of which the first few are kept: what is skipped may be large."""
    kept, left = b"", size
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            raise NoWav("it ends in its header")
        kept += piece[: keep - len(kept)]
        left -= len(piece)
    return kept
