"""Sound from the machine's microphone, through PortAudio.

The sound card calls back in a thread of its own and does not wait, so blocks go through a bounded
queue; where the listener is slower than real time the oldest are dropped, and counted.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from edge_sdk.errors import UnavailableError
from edge_sdk.voice.audio import BLOCK_S, Resampler, Samples

MAX_WAITING = 64
"""Blocks between the sound card and the listener: five seconds."""
SILENT_S = 5.0
"""A sound card that gives nothing for so long has gone."""
START_S = 15.0
"""Until its first sound it may take longer: some are woken by it, or are far away."""


class Microphone:
    """Iterate over it for blocks of 16 kHz mono; it opens the device at once.

    Attributes:
        dropped: blocks that came while the queue was full.
    """

    def __init__(self, device: str | int | None = None) -> None:
        """Open a microphone.

        Args:
            device: a part of its name or its number; None is the system's choice.

        Raises:
            UnavailableError: there is none, or no library to reach it; the hint says how.
        """
        sounddevice = _sounddevice()
        self.dropped = 0
        self._waiting: queue.Queue[bytes] = queue.Queue(MAX_WAITING)
        try:
            found = sounddevice.query_devices(device, "input")
            rate = int(found["default_samplerate"])
            self._resampler = Resampler(rate, 1)
            self._stream = sounddevice.RawInputStream(
                samplerate=rate,
                blocksize=int(rate * BLOCK_S),
                device=device,
                channels=1,
                dtype="int16",
                callback=self._take,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise UnavailableError(
                f"There is no microphone to listen to: {error}.",
                "arecord -l   # lists what the system sees; a wav or a pipe works without any:\n"
                "arecord -f S16_LE -r 16000 -c 1 -t raw | edge demo voice --input -",
            ) from error

    def __iter__(self) -> Iterator[Samples]:
        return self.blocks()

    def blocks(self, seconds: float | None = None) -> Iterator[Samples]:
        """What it hears, for so long by the clock, from its first sound on; None is for ever.

        Raises:
            UnavailableError: it gives nothing.
        """
        until: float | None = None
        while True:
            patience = START_S
            if until is not None:
                patience = min(SILENT_S, max(0.0, until - time.monotonic()))
            try:
                block = self._waiting.get(timeout=patience)
            except queue.Empty:
                if patience < SILENT_S:
                    return
                raise UnavailableError(
                    f"The microphone has given nothing for {patience:g} s.",
                    "arecord -l   # is it still plugged in?",
                ) from None
            if until is None:
                until = math.inf if seconds is None else time.monotonic() + seconds
            yield self._resampler.take(block)

    def __enter__(self) -> Microphone:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def _take(self, block: Any, frames: int, time: Any, status: Any) -> None:
        while True:
            try:
                self._waiting.put_nowait(bytes(block))
            except queue.Full:
                self.dropped += 1
                try:
                    self._waiting.get_nowait()
                except queue.Empty:  # the listener was faster
                    continue
            else:
                return


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise UnavailableError(
            f"The microphone is reached through sounddevice: {error}.",
            "pip install 'edgeloop[voice]'",
        ) from error
    except OSError as error:
        raise UnavailableError(
            f"The microphone cannot be reached: {error}.",
            "sudo apt-get install libportaudio2",
        ) from error
    return sounddevice
