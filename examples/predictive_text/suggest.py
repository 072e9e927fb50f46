"""What a text may go on with: python -m examples.predictive_text.suggest 'Thank y'"""

from __future__ import annotations

from edge_sdk.keyboard.keyboard import Keyboard
from edge_sdk.keyboard.letters import Letters
from edge_sdk.keyboard.words import read_words
from examples.predictive_text.make import models
from examples.shell import from_shell


def main(text: str, *others: str) -> None:
    """Run it."""
    folder = models()
    with Letters(folder / "letters.edge", folder / "alphabet.json") as letters:
        keyboard = Keyboard(read_words(folder / "words.npz"), letters)
        for each in (text, *others):
            print(f"{each!r} → {', '.join(keyboard.suggest(each))}")


if __name__ == "__main__":
    from_shell(main)
