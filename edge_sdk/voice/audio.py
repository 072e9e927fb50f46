"""Sound as the models want it: 16-bit mono at 16 kHz, in blocks, from a wav or from raw PCM.

Any rate and any number of channels is taken: channels are averaged, rates changed by soxr in
streaming mode, so that a pipe that never ends needs no more memory than one block.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UnavailableError, UsageError

Samples = npt.NDArray[np.int16]

RATE_HZ = 16_000
BLOCK_S = 0.08
_WIDTH = 2


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
        frames = np.frombuffer(pcm, "<i2").reshape(-1, self._channels)
        mono: Samples = frames[:, 0] if self._channels == 1 else frames.mean(1).astype(np.int16)
        if self._stream is None:
            return mono
        converted: Samples = self._stream.resample_chunk(mono, last=last)
        return converted


def wav_blocks(path: Path | str) -> Iterator[Samples]:
    """A wav file as blocks of mono 16 kHz.

    Raises:
        UsageError: missing, a device, empty, cut off, not a wav, or not of 16-bit samples.
        UnavailableError: it has another rate and soxr is not installed.
    """
    path = Path(path)
    if path.is_char_device():  # one that never ends would fill the memory
        raise UsageError(
            f"{path} is a device, not a file.", "edge demo voice --microphone, or a pipe: --input -"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    if not content:
        raise UsageError(f"{path} is empty.", "Record or copy it again.")
    try:
        with wave.open(io.BytesIO(content)) as file:
            promised, rate, channels = file.getnframes(), file.getframerate(), file.getnchannels()
            if file.getsampwidth() != _WIDTH:
                raise UsageError(
                    f"{path} has samples of {8 * file.getsampwidth()} bits, not 16.",
                    f"sox {path} -b 16 converted.wav",
                )
            pcm = file.readframes(promised)
    except (wave.Error, EOFError) as error:
        raise UsageError(
            f"{path} is not a wav of plain samples: {str(error) or 'it ends in its header'}.",
            f"file {path}   # says what it is; sox {path} -b 16 converted.wav converts it",
        ) from error
    whole = promised * channels * _WIDTH
    if not pcm or len(pcm) < whole:
        raise UsageError(
            f"{path} is cut off: {len(pcm)} of {whole} bytes of sound are there."
            if whole
            else f"{path} holds no sound.",
            "Record or copy it again.",
        )
    return pcm_blocks(io.BytesIO(pcm), rate, channels)


def pcm_blocks(pipe: BinaryIO, rate_hz: int = RATE_HZ, channels: int = 1) -> Iterator[Samples]:
    """Raw 16-bit little-endian PCM, read as it comes, as blocks of mono 16 kHz."""
    resampler = Resampler(rate_hz, channels)
    frame = channels * _WIDTH
    size = max(1, int(rate_hz * BLOCK_S)) * frame
    return _blocks(pipe, resampler, size, frame)


def piped_blocks(pipe: BinaryIO) -> Iterator[Samples]:
    """``pcm_blocks`` of 16 kHz mono from another program, which may fail, or write a header first.

    Raises:
        UsageError: nothing came, or it is a wav.
    """
    heard = 0
    for block in pcm_blocks(pipe):
        if not heard and block[:2].tobytes() == b"RIFF":
            raise UsageError(
                "What comes through the pipe is a wav, not raw samples.",
                "edge demo voice --input FILE.wav; arecord and sox pipe raw samples with -t raw",
            )
        heard += len(block)
        yield block
    if not heard:
        raise UsageError(
            "Nothing came through the pipe.",
            "arecord -f S16_LE -r 16000 -c 1 -t raw | edge demo voice --input -",
        )


def _blocks(pipe: BinaryIO, resampler: Resampler, size: int, frame: int) -> Iterator[Samples]:
    while block := pipe.read(size):
        yield resampler.take(block[: len(block) // frame * frame])
    yield resampler.take(b"", last=True)
