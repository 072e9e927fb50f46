"""A line of text under a person's keys: what each key does to it, without any terminal.

    a letter, a digit, a mark, a space   is typed, always, whatever is suggested
    F1 F2 F3, or tab for F1              takes that suggestion; nothing where there is none
    backspace                            takes a letter away
    enter                                ends the line

A suggestion brings the space after it, and that space behaves as it does on telephones: a mark that
belongs to the word (``,`` ``.`` a closing quote) steps before it; a hyphen or an apostrophe takes
its place; pressing space only says that it was meant. A straight quote closes if one is open in the
line; an apostrophe after a mark is a closing quote.

A word that is ended, by whatever ends it, is learnt. One that is erased or altered afterwards is
unlearnt: at the end of a line, what was learnt of it is the words that stand in it.
"""

from __future__ import annotations

from edge_sdk.keyboard.keyboard import SUGGESTIONS, WORD, Keyboard, begun
from edge_sdk.keyboard.personal import Learnt

BACKSPACE, ENTER, TAB = "\x7f", "\n", "\t"
TAKING = tuple(f"F{number}" for number in range(1, 13))
"""The keys that take the first suggestion, the second, …"""
_STEP_BEFORE = ".,;:!?)]}\u201d"
_APOSTROPHES = "'\u2019"
_TAKE_PLACE = _APOSTROPHES + "-\u2013\u2014/%"


class Composer:
    """See above. ``press`` is the only way to change it.

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
        self._learnt: list[tuple[int, Learnt | None]] = []
        """Where each word of the line ends that counts as ended, and how to unlearn it."""
        self.suggestions = keyboard.suggest("", count)

    def press(self, key: str) -> str | None:
        """Do what a key of a keyboard does; answers the line if this key has ended it.

        Args:
            key: the letter it types, or a constant of this module; nothing is no key.
        """
        if not key:
            return None
        line, passed = None, set[str]()
        if key == TAB or key in TAKING:
            place = 0 if key == TAB else TAKING.index(key)
            if place < len(self.suggestions):
                self._take(self.suggestions[place])
        elif key == BACKSPACE:
            # What was passed over may have been meant after all.
            self.text, self.space_given = self.text[:-1], False
        elif key == ENTER:
            line = self._end()
        elif key.isprintable() and len(key) == 1:
            passed = self._passed | set(self.suggestions) if key.isalpha() else passed
            self._write(key)
        self._learn(len(self.text) - len(begun(self.text)))
        self.keys += 1
        self._passed = passed
        self.suggestions = self._keyboard.suggest(self.text, self._count, passed=passed)
        return line

    def sticks(self, letter: str) -> bool:
        """Whether this letter belongs to the word before it, and no space between them."""
        return self._closes(letter) or letter in _STEP_BEFORE or letter in _TAKE_PLACE

    def _take(self, word: str) -> None:
        self.text = self.text[: len(self.text) - len(begun(self.text))] + word + " "
        self.space_given = True

    def _write(self, letter: str) -> None:
        if self.space_given and letter == " ":
            self.space_given = False
        elif self.space_given and self.sticks(letter):
            self.space_given = letter not in _TAKE_PLACE or self._closes(letter)
            self.text = self.text[:-1] + letter + " " * self.space_given
        else:
            self.text += letter
            self.space_given = False

    def _end(self) -> str:
        self._learn(len(self.text))
        self._learnt = []
        line, self.text = self.text.rstrip(), ""
        self.letters += len(line) + 1
        self.space_given = False
        return line

    def _closes(self, letter: str) -> bool:
        if letter == '"':
            return self.text.count(letter) % 2 == 1
        return letter in _APOSTROPHES and self.text[:-1][-1:] in _STEP_BEFORE

    def _learn(self, ended: int) -> None:
        """Let what is learnt of this line be the words before that place."""
        while self._learnt and self._learnt[-1][0] > ended:
            self._keyboard.unlearn(self._learnt.pop()[1])
        known = self._learnt[-1][0] if self._learnt else 0
        for word in WORD.finditer(self.text, known, ended):
            self._learnt.append((word.end(), self._keyboard.learn(self.text[: word.end()])))
