"""A line of text under a person's keys: what each key does to it, without any terminal.

    a letter, a mark, a space    is typed; a mark replaces the space that came with a suggestion
    1 2 3, or tab for 1          takes that suggestion, where there is one; else a digit is typed
    backspace                    takes a letter away
    enter                        ends the line

A word that is ended, by whatever ends it, is learnt.
"""

from __future__ import annotations

from edge_sdk.keyboard.keyboard import Keyboard, begun

BACKSPACE, ENTER, TAB = "\x7f", "\n", "\t"
_SENTENCE_MARKS = ".,;:!?"


class Composer:
    """See above.

    Attributes:
        text: the line as it stands.
        suggestions: for what stands there.
        keys: pressed since the beginning, in all lines.
        letters: of all the lines that were ended.
    """

    def __init__(self, keyboard: Keyboard) -> None:
        self._keyboard = keyboard
        self._space_was_given = False
        self.text = ""
        self.keys = self.letters = 0
        self._passed: set[str] = set()
        self.suggestions = keyboard.suggest("")

    def press(self, key: str) -> str | None:
        """Do what a key does; answers the line if this key has ended it."""
        if not key:
            return None
        self.keys += 1
        ended = None
        chosen = 0 if key == TAB else int(key) - 1 if key in {"1", "2", "3"} else -1
        if 0 <= chosen < len(self.suggestions):
            self._take(self.suggestions[chosen])
        elif key == BACKSPACE:  # what was passed over may have been meant after all
            self.text, self._space_was_given = self.text[:-1], False
        elif key == ENTER:
            ended = self._end()
        elif key.isprintable():
            self._type(key)
        is_onward = key.isalpha() and self.text.endswith(key)
        self._passed = self._passed | set(self.suggestions) if is_onward else set()
        self.suggestions = self._keyboard.suggest(self.text, passed=self._passed)
        return ended

    def _take(self, word: str) -> None:
        self.text = self.text[: len(self.text) - len(begun(self.text))]
        self.text += word + " "
        self._space_was_given = True
        self._keyboard.learn(self.text)

    def _type(self, key: str) -> None:
        if self._space_was_given and key in _SENTENCE_MARKS:
            self.text = self.text[:-1]
        elif self._space_was_given and key == " ":
            key = ""
        elif not key.isalpha() and key not in "'\u2019" and self.text[-1:].isalpha():
            self._keyboard.learn(self.text)
        self.text += key
        self._space_was_given = False

    def _end(self) -> str:
        if self.text[-1:].isalpha():
            self._keyboard.learn(self.text)
        line, self.text = self.text.rstrip(), ""
        self.letters += len(line) + 1
        self._space_was_given = False
        return line
