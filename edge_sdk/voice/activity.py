"""Whether somebody speaks: silero's network, asked every 32 ms.

It looks at 512 samples with the 64 before them, and keeps a state of its own that goes in and
comes out, so a pause is known by what was there before it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_sdk.closing import Closing
from edge_sdk.errors import UsageError
from edge_sdk.runtime import load
from edge_sdk.voice.audio import RATE_HZ, Samples

STEP = 512
_CONTEXT = 64
_FULL_SCALE = 32768.0
_INPUTS = {"input", "state", "sr"}


class Activity(Closing):
    """Voice activity of one stream of 16 kHz mono. Close it, or use it in a ``with``."""

    def __init__(self, model: Path | str) -> None:
        """Load silero's 16 kHz network from an ``.onnx``.

        Raises:
            UsageError: the model is another one.
            UnavailableError: no engine here runs it.
        """
        self._session = load(model, threads=1)
        names = {tensor.name for tensor in self._session.signature.inputs}
        if names != _INPUTS:
            self._session.close()
            raise UsageError(
                f"{model} is no voice activity network of silero: it takes {sorted(names)}.",
                "scripts/assets --path silero-vad   # the folder of two that are",
            )
        self._rate = np.array(RATE_HZ, np.int64)
        self.reset()

    def reset(self) -> None:
        """Begin another stream."""
        self._state = np.zeros((2, 1, 128), np.float32)
        self._window = np.zeros((1, _CONTEXT + STEP), np.float32)
        self._pending = np.zeros(0, np.int16)

    def hear(self, block: Samples) -> list[float]:
        """Take the next sound; answer how likely speech was in every 32 ms that became whole."""
        self._pending = np.concatenate([self._pending, block])
        answers = []
        while len(self._pending) >= STEP:
            step, self._pending = self._pending[:STEP], self._pending[STEP:]
            self._window[0, :_CONTEXT] = self._window[0, STEP:]
            self._window[0, _CONTEXT:] = step / _FULL_SCALE
            found = self._session.run(
                {"input": self._window, "state": self._state, "sr": self._rate}
            )
            self._state = found["stateN"]
            answers.append(float(found["output"][0, 0]))
        return answers

    def close(self) -> None:
        """Give back the model."""
        self._session.close()
