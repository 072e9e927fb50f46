"""The wake word: a small streaming network asked every 30 ms, heard only when it is sure for long.

The models are those of micro wake word: 40 energies every 10 ms, three of them a step, the rest of
the past kept inside the model (its variables). One step's answer flickers, so the mean of the last
``patience`` answers must pass the threshold. After a detection the detector is deaf for the
refractory time, and until it was unsure once, or one word would be heard several times: some
networks are sure for longer than a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_sdk.closing import Closing
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.runtime import load
from edge_sdk.voice.audio import RATE_HZ, Samples
from edge_sdk.voice.published import PUBLISHED

DEFAULT_THRESHOLD = 0.9
PATIENCE = 5
REFRACTORY_S = 1.0
_STEP_BYTES = RATE_HZ // 100 * 2


@dataclass(frozen=True, slots=True)
class Wake:
    """A wake word heard.

    Attributes:
        time_s: seconds of sound until it was known.
        word: the model's name.
        score: mean of the last answers, 0 to 1.
    """

    time_s: float
    word: str
    score: float


class WakeWord(Closing):
    """Listens for one word in a stream of 16 kHz mono. Close it, or use it in a ``with``."""

    def __init__(
        self,
        model: Path | str,
        *,
        threshold: float | None = None,
        patience: int = PATIENCE,
        refractory_s: float = REFRACTORY_S,
    ) -> None:
        """Load the model.

        Raises:
            UsageError: not such a model, or a setting out of its range.
            UnavailableError: no engine or no feature extractor is installed.
        """
        try:
            from pymicro_features import MicroFrontend
        except ImportError as error:
            raise UnavailableError(
                f"Listening needs pymicro-features: {error}.", "pip install 'edgeloop[voice]'"
            ) from error
        model = Path(model)
        self.word = model.stem
        published = PUBLISHED.get(self.word)
        if threshold is None:
            threshold = DEFAULT_THRESHOLD if published is None else published.threshold
        if not 0 < threshold < 1 or patience < 1 or not refractory_s >= 0:
            raise UsageError(
                f"Threshold {threshold}, patience {patience}, refractory time {refractory_s} s: "
                "one is out of its range.",
                "Threshold between 0 and 1, patience 1 or more, no negative time.",
            )
        self._threshold = threshold
        self._refractory_s = refractory_s
        self._frontend = MicroFrontend()
        self._session = load(model, threads=1, raw=True)
        inputs, outputs = self._session.signature.inputs, self._session.signature.outputs
        shape = inputs[0].shape
        if len(inputs) != 1 or len(outputs) != 1 or len(shape) != 3 or shape[2] != 40:
            self._session.close()
            raise UsageError(
                f"{model} takes no 40 energies a step: it is not a micro wake word.",
                "scripts/assets wake-words   # has four of them",
            )
        self._input, self._output = inputs[0], outputs[0]
        self._stride = int(shape[1] or 1)
        if inputs[0].quantization is not None:
            limits = np.iinfo(inputs[0].dtype)
            self._lowest, self._highest = int(limits.min), int(limits.max)
        self._pending = b""
        self._features: list[list[float]] = []
        self._answers: deque[float] = deque(maxlen=patience)
        self._samples = 0
        self._deaf_until_s = 0.0
        self._told = False

    def hear(self, block: Samples) -> Iterator[Wake]:
        """Take the next sound; give each wake word the moment it is known."""
        self._pending += block.tobytes()
        at = 0
        while at + _STEP_BYTES <= len(self._pending):
            found = self._frontend.process_samples(self._pending[at : at + _STEP_BYTES])
            at += found.samples_read * 2
            self._samples += found.samples_read
            if not found.features:
                continue
            self._features.append(found.features)
            if len(self._features) == self._stride:
                wake = self._step()
                if wake is not None:
                    yield wake
        self._pending = self._pending[at:]

    def reset(self) -> None:
        """Begin another stream: nothing of the last one is remembered."""
        self._session.reset()
        self._frontend.reset()
        self._pending, self._features = b"", []
        self._answers.clear()
        self._samples = 0
        self._deaf_until_s = 0.0
        self._told = False

    def close(self) -> None:
        """Give back the model."""
        self._session.close()

    def _step(self) -> Wake | None:
        given, answered = self._input.quantization, self._output.quantization
        features = np.array([self._features], np.float32)
        self._features = []
        if given is not None:
            features = features / np.float32(given.scale) + given.zero_point
            features = np.clip(np.round(features), self._lowest, self._highest)
        outputs = self._session.run({self._input.name: features.astype(self._input.dtype)})
        answer = float(outputs[self._output.name].ravel()[0])
        if answered is not None:
            answer = (answer - answered.zero_point) * answered.scale
        self._answers.append(answer)
        if len(self._answers) < (self._answers.maxlen or 1):
            return None
        score, now_s = sum(self._answers) / len(self._answers), self._samples / RATE_HZ
        if score <= self._threshold:
            self._told = False
            return None
        if self._told or now_s < self._deaf_until_s:
            return None
        self._told, self._deaf_until_s = True, now_s + self._refractory_s
        return Wake(time_s=round(now_s, 2), word=self.word, score=round(score, 3))
