"""Sound as the models want it: 16-bit mono at 16 kHz, in blocks, from a wav or from raw PCM.

Any rate and any number of channels is taken: channels are averaged, rates changed by soxr in
streaming mode, so that a pipe that never ends needs no more memory than one block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.voice.wav import FORMS, NoWav, Source, Wav, read_header

Samples = npt.NDArray[np.int16]

RATE_HZ = 16_000
BLOCK_S = 0.08
PIPED = "arecord -f S16_LE -r 16000 -c 1 -t raw | edge demo voice --input -"
_AGAIN = "Record or copy it again."
_OTHERS = {b"OggS": "Ogg", b"fLaC": "FLAC", b"ID3": "MP3", b"FORM": "AIFF", b".snd": "AU"}


class Resampler:
    """Turns PCM of one rate and channel count into mono at 16 kHz, block after block."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        if not 1_000 <= rate_hz <= 768_000 or not 1 <= channels <= 64:
            raise UsageError(
                f"{rate_hz} Hz in {channels} channels is no sound that can be used.",
                "Record it anew: 16 kHz, mono, 16 bits.",
            )
        self._channels = channels
        self._stream: Any = None
        if rate_hz != RATE_HZ:
            try:
                import soxr
            except ImportError as error:
                raise UnavailableError(
                    f"Changing {rate_hz} Hz to {RATE_HZ} Hz needs soxr: {error}.",
                    "pip install 'edgeloop[voice]'",
                ) from error
            self._stream = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="int16")

    def take(self, pcm: bytes, *, last: bool = False) -> Samples:
        """Convert the next whole frames; ``last`` gives out what the filter still holds."""
        return self.convert(np.frombuffer(pcm, "<i2"), last=last)

    def convert(self, samples: Samples, *, last: bool = False) -> Samples:
        """The same of samples, those of a frame beside each other."""
        frames = samples.reshape(-1, self._channels)
        mono: Samples = frames[:, 0] if self._channels == 1 else frames.mean(1).astype(np.int16)
        if self._stream is None:
            return mono
        converted: Samples = self._stream.resample_chunk(mono, last=last)
        return converted


def wav_blocks(path: Path | str) -> Iterator[Samples]:
    """A wav file as blocks of mono 16 kHz.

    Raises:
        UsageError: missing, a device, empty, cut off, not a wav, or of samples that are not read;
            at once, before any block is asked for.
        UnavailableError: it has another rate and soxr is not installed.
    """
    path = Path(path)
    if path.is_char_device():  # one that never ends
        raise UsageError(
            f"{path} is a device, not a file.", "edge demo voice --microphone, or a pipe: --input -"
        )
    try:
        with path.open("rb") as file:
            if path.is_fifo():  # what is read of it now is gone
                raise UsageError(f"{path} is a pipe, not a file.", f"… --input - < {path}")
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise UsageError(f"{path} is empty.", "Record or copy it again.")
            wav = _header(file, str(path))
            begin = file.tell()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    there = size - begin
    if wav.length is not None and there < wav.length:
        raise UsageError(
            f"{path} is cut off: {there} of {wav.length} bytes of sound are there.", _AGAIN
        )
    if not there or wav.length == 0:
        raise UsageError(f"{path} holds no sound.", _AGAIN)
    return _file_blocks(path, begin, wav, Resampler(wav.rate_hz, wav.channels))


def pcm_blocks(pipe: Source, rate_hz: int = RATE_HZ, channels: int = 1) -> Iterator[Samples]:
    """Raw 16-bit little-endian PCM, read as it comes, as blocks of mono 16 kHz."""
    raw = Wav(rate_hz, channels, 2, False, None)
    return _blocks(pipe, raw, Resampler(rate_hz, channels))


def piped_blocks(pipe: Source) -> Iterator[Samples]:
    """What another program writes: a wav, or 16-bit mono PCM at 16 kHz if it has no header.

    Raises:
        UsageError: nothing came, it is a wav that is not read, one that is cut off, or another
            kind of file.
    """
    begin = pipe.read(len(FORMS[0]))
    if not begin:
        raise UsageError(
            "Nothing came through the pipe.",
            PIPED,
        )
    whole = _Unread(begin, pipe)
    if kind := next((name for magic, name in _OTHERS.items() if begin.startswith(magic)), None):
        raise UsageError(
            f"What comes through the pipe is {kind}, not a wav.",
            "ffmpeg -i FILE -f wav - | edge demo voice --input -",
        )
    if begin not in FORMS:
        yield from pcm_blocks(whole)
        return
    wav = _header(whole, "What comes through the pipe")
    yield from _blocks(whole, wav, Resampler(wav.rate_hz, wav.channels))


class _Unread:
    """A stream with its beginning put back."""

    def __init__(self, begin: bytes, rest: Source) -> None:
        self._begin, self._rest = begin, rest

    def read(self, size: int) -> bytes:
        piece, self._begin = self._begin[:size], self._begin[size:]
        return piece + self._rest.read(size - len(piece)) if len(piece) < size else piece


def _header(stream: Source, name: str) -> Wav:
    try:
        return read_header(stream)
    except NoWav as error:
        raise UsageError(
            f"{name} is not a wav that can be read: {error}.",
            "file NAME.wav   # says what it is; sox NAME.wav -b 16 converted.wav converts it",
        ) from error


def _file_blocks(path: Path, begin: int, wav: Wav, resampler: Resampler) -> Iterator[Samples]:
    with path.open("rb") as file:
        file.seek(begin)
        yield from _blocks(file, wav, resampler)


def _blocks(pipe: Source, wav: Wav, resampler: Resampler) -> Iterator[Samples]:
    size = max(1, int(wav.rate_hz * BLOCK_S)) * wav.frame
    left = wav.length
    while block := pipe.read(size if left is None else min(size, left)):
        left = None if left is None else left - len(block)
        yield resampler.convert(wav.to_16_bit(block[: len(block) // wav.frame * wav.frame]))
    yield resampler.take(b"", last=True)
    if left:
        raise UsageError(f"The sound is cut off: {left} bytes of it are missing.", _AGAIN)
