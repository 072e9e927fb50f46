"""A network that reads the last forty letters and says which comes next.

Its window is all it knows: forty letters go in at every key, and its recurrent state begins anew.
Carrying the state on instead would be fifty times faster and wrong, for it was trained on windows:
7.3 bits a letter against 3.0.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_sdk.closing import Closing
from edge_sdk.errors import UsageError
from edge_sdk.runtime import load
from edge_sdk.toml_file import read_text

WINDOW = 40


class Letters(Closing):
    """The network. Close it, or use it in a ``with``."""

    def __init__(self, model: Path | str, alphabet: Path | str) -> None:
        """Load the network, and the JSON that gives each letter its number.

        Raises:
            UsageError: they are something else, or do not belong together.
            UnavailableError: no engine here runs it.
        """
        try:
            numbers = json.loads(read_text(Path(alphabet)))
            self._numbers = {str(letter): int(number) for letter, number in numbers.items()}
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise UsageError(f"{alphabet} gives no letters their numbers.") from error
        self._session = load(model, threads=1)
        inputs, outputs = self._session.signature.inputs, self._session.signature.outputs
        if [t.shape[1:] for t in inputs] != [(WINDOW,)] or len(outputs) != 1:
            self._session.close()
            raise UsageError(
                f"{model} does not read {WINDOW} letters.",
                "python -m examples.predictive_text.make   # makes one that does, in a clone",
            )
        width = outputs[0].shape[-1]
        if not isinstance(width, int) or max(self._numbers.values(), default=0) >= width:
            self._session.close()
            raise UsageError(f"{alphabet} is not the alphabet of {model}.")
        self._input, self._output, self._width = inputs[0], outputs[0].name, width

    def number(self, letter: str) -> int:
        """The number of a letter; 0 for one that the network does not know."""
        return self._numbers.get(letter, 0)

    def next(self, text: str) -> npt.NDArray[np.float32]:
        """The probability of every letter, by its number, after a text."""
        window = [self.number(letter) for letter in text[-WINDOW:]]
        row = np.zeros((1, WINDOW), self._input.dtype)
        if window:
            row[0, -len(window) :] = window
        answer: npt.NDArray[np.float32] = self._session.run({self._input.name: row})[self._output][
            0
        ]
        return answer

    def close(self) -> None:
        """Give back the network."""
        self._session.close()
