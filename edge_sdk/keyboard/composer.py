"""A line of text under a person's keys: what each key does to it, without any terminal.

    a letter, a mark, a space    is typed
    1 2 3, or tab for 1          takes that suggestion, where there is one; else a digit is typed
    backspace                    takes a letter away
    enter                        ends the line

A suggestion brings the space after it, and that space behaves as it does on telephones: a mark that
belongs to the word (``,`` ``.`` a closing quote) steps before it; a hyphen or an apostrophe takes
its place; pressing space only says that it was meant. A straight quote closes if one is open in the
line; an apostrophe after a mark is a closing quote.

A word that is ended, by whatever ends it, is learnt.
"""

from __future__ import annotations

from collections.abc import Collection

from edge_sdk.keyboard.keyboard import SUGGESTIONS, Keyboard, begun

BACKSPACE, ENTER, TAB = "\x7f", "\n", "\t"
_STEP_BEFORE = ".,;:!?)]}\u201d"
_APOSTROPHES = "'\u2019"
_TAKE_PLACE = _APOSTROPHES + "-\u2013\u2014/%"


class Composer:
    """See above.

    Attributes:
        text: the line as it stands.
        space_given: whether its last letter is a space that came with a suggestion.
        suggestions: for what stands there.
        keys: pressed since the beginning, in all lines.
        letters: of all the lines that were ended.
    """

    def __init__(self, keyboard: Keyboard, count: int = SUGGESTIONS) -> None:
        self._keyboard, self._count = keyboard, count
        self.space_given = False
        self.text = ""
        self.keys = self.letters = 0
        self._passed: set[str] = set()
        self.suggestions = keyboard.suggest("", count)

    def press(self, key: str) -> str | None:
        """Do what a key of a keyboard does; answers the line if this key has ended it."""
        chosen = 0 if key == TAB else int(key) - 1 if key in {"1", "2", "3"} else -1
        if 0 <= chosen < len(self.suggestions):
            self.take(chosen)
        elif key == BACKSPACE:
            self.erase()
        elif key == ENTER:
            return self.end()
        elif key.isprintable() and key:
            self.write(key)
        elif key:
            self._pressed()
        return None

    def take(self, place: int) -> None:
        """Take a suggestion, counted from 0."""
        self.text = self.text[: len(self.text) - len(begun(self.text))]
        self.text += self.suggestions[place] + " "
        self.space_given = True
        self._keyboard.learn(self.text)
        self._pressed()

    def write(self, letter: str) -> None:
        """Type a letter, a mark or a space, whatever is suggested."""
        if self.space_given and letter == " ":
            self.space_given = False
        elif self.space_given and self.sticks(letter):
            self.space_given = letter not in _TAKE_PLACE or self._closes(letter)
            self.text = self.text[:-1] + letter + " " * self.space_given
        else:
            if not letter.isalpha() and letter not in _APOSTROPHES and self.text[-1:].isalpha():
                self._keyboard.learn(self.text)
            self.text += letter
            self.space_given = False
        self._pressed(self._passed | set(self.suggestions) if letter.isalpha() else ())

    def erase(self) -> None:
        """Take the last letter away. What was passed over may have been meant after all."""
        self.text, self.space_given = self.text[:-1], False
        self._pressed()

    def end(self) -> str:
        """End the line; answers it."""
        if self.text[-1:].isalpha():
            self._keyboard.learn(self.text)
        line, self.text = self.text.rstrip(), ""
        self.letters += len(line) + 1
        self.space_given = False
        self._pressed()
        return line

    def sticks(self, letter: str) -> bool:
        """Whether this letter belongs to the word before it, and no space between them."""
        return self._closes(letter) or letter in _STEP_BEFORE or letter in _TAKE_PLACE

    def _closes(self, letter: str) -> bool:
        if letter == '"':
            return self.text.count(letter) % 2 == 1
        return letter in _APOSTROPHES and self.text[:-1][-1:] in _STEP_BEFORE

    def _pressed(self, passed: Collection[str] = ()) -> None:
        self.keys += 1
        self._passed = set(passed)
        self.suggestions = self._keyboard.suggest(self.text, self._count, passed=self._passed)
