"""What a text may go on with: python -m examples.predictive_text.suggest 'Thank y'"""

from __future__ import annotations

import sys

from edge_sdk.keyboard.keyboard import Keyboard
from edge_sdk.keyboard.letters import Letters
from edge_sdk.keyboard.words import read_words
from examples.predictive_text.make import models

folder = models()
with Letters(folder / "letters.edge", folder / "alphabet.json") as letters:
    keyboard = Keyboard(read_words(folder / "words.npz"), letters)
    for text in sys.argv[1:]:
        print(f"{text!r} → {', '.join(keyboard.suggest(text))}")
