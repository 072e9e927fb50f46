"""Suggestions for a text: how its last word may end, or which word is next.

Three that know different things are asked, and their probabilities are joined:

    words     the trigram, over its vocabulary
    personal  what this person has typed, which corrects it
    letters   the network: how likely the letter is with which a word would go on, to the power
              ``LETTERS_POWER``, since it has read less, and other, English than the trigram

The network is asked once a key, for one letter says which of the words that begin alike are meant.

A word that was offered and passed over is not the one: it is taken to be ``OVERLOOKED`` as likely
as before, so it comes back only where hardly another word is left. One that this person writes with
a capital, and has now begun without, or the other way about, is ``MISWRITTEN`` as likely.

What a word follows is what was said before it in its sentence. A sentence ends at its mark, but for
``Mr.`` and the like; what stands behind a quotation goes on in small letters (``"What?" said he``),
and one that begins (``He said, "What``) is a sentence of its own, unless it was broken off before.
The trigram has read no marks; for habit, a comma, a colon or a dash stands where a word does, for
``and`` comes after any of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np

from edge_sdk.keyboard.letters import Letters
from edge_sdk.keyboard.personal import Learnt, Personal
from edge_sdk.keyboard.words import START, Words

SUGGESTIONS = 3
LETTERS_POWER = 0.15
OVERLOOKED = 1e-3
MISWRITTEN = 0.1
_CONSIDERED = 60
"""Words that the network is asked about: the likeliest of the two others."""
_FLOOR = 1e-2
_REACH = 200
"""Letters before the cursor that are looked at."""
WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_BEGUN = re.compile(r"[^\W\d_](?:[^\W\d_]|['\u2019])*$")
_BREAK = re.compile(
    r"(?P<said>[,!?]+[\"'\u2019\u201d]\s)"
    r"|(?P<ended>[.!?]+[\"'\u2019\u201d)\]]*\s|\n\s*\n)"
    r"|(?P<opened>[,:]\s[\"'\u2018\u201c`])"
)
_SHORTENED = re.compile(
    r"\b(?:[A-HJ-Z]|Mr|Mrs|Ms|Messrs|Dr|Prof|Rev|Hon|St|Capt|Col|Gen|Lt|Jr|Sr|Vol|Fig|cf|vs|viz)$"
)
_SPOKEN = re.compile(WORD.pattern + r"|[,;:\u2013\u2014]|--")
PAUSE = ","
"""Stands for a mark that ends no sentence, among the words that somebody's habit goes by."""
SAID, CONTINUED = "<said>", "<continued>"
"""Stand before the first word behind a quotation, and of one that goes on."""
_ALWAYS_CAPITAL = {"i", "i'm", "i'll", "i've", "i'd"}


class Keyboard:
    """See above.

    Attributes:
        personal: what it learns into; None learns nothing.
    """

    def __init__(
        self, words: Words, letters: Letters | None = None, personal: Personal | None = None
    ) -> None:
        self._words, self._letters, self.personal = words, letters, personal

    def suggest(
        self, text: str, count: int = SUGGESTIONS, *, passed: Collection[str] = ()
    ) -> list[str]:
        """Words that the text may go on with, the likeliest first.

        Args:
            text: all that stands before the cursor. Where it ends in letters, words that begin so;
                else whole words.
            count: at most so many.
            passed: what was offered for this word already, and not taken.
        """
        prefix, before = begun(text), _before(text)
        found = self._scored(prefix.lower().replace("\u2019", "'"), before)
        if self._letters is not None and len(found) > 1:
            found = self._with_letters(self._letters, text, len(prefix), found)
        starts_sentence = before[-1] == START
        if self.personal is not None and prefix and not (starts_sentence and prefix[0].isupper()):
            self._weigh_capitals(self.personal, prefix[0].isupper(), found)
        for word in {each.lower() for each in passed} & found.keys():
            found[word] *= OVERLOOKED
        best = sorted(found, key=lambda word: (-found[word], word))[:count]
        return [self._as_written(word, prefix, starts_sentence) for word in best]

    def learn(self, text: str) -> Learnt | None:
        """The last word of a text is as it was meant: remember it. Answers how to unlearn it."""
        text = text[-_REACH:]
        words = WORD.findall(text)
        if not words or self.personal is None:
            return None
        before = _before(text[: text.rindex(words[-1])])
        known = self._words.number(words[-1].lower()) is not None
        starts_sentence = before[-1] == START and known
        return self.personal.learn(words[-1].lower() if starts_sentence else words[-1], before[-2:])

    def unlearn(self, learnt: Learnt | None) -> None:
        """It was not meant after all; the latest first."""
        if learnt is not None and self.personal is not None:
            self.personal.unlearn(learnt)

    def _scored(self, prefix: str, before: tuple[str, ...]) -> dict[str, float]:
        """The likeliest words, by the trigram and by habit."""
        among = self._words.beginning_with(prefix)
        scores = self._words.scores(tuple(w for w in before if w != PAUSE)[-2:], among)
        most = min(_CONSIDERED, len(scores))
        best = np.argpartition(-scores, most - 1)[:most].tolist() if most else []
        found = {self._words.words[among.start + at]: float(np.exp(scores[at])) for at in best}
        if self.personal is not None:
            anywhere = np.exp(self._words.scores((), among)[best]).tolist()
            expected = dict(zip(found, anywhere, strict=True))
            found = self.personal.mixed(prefix, before[-2:], found, expected)
        found.pop(prefix, None)  # nothing is saved by what stands there already
        return found

    @staticmethod
    def _weigh_capitals(personal: Personal, capital: bool, found: dict[str, float]) -> None:
        for word in found:
            if personal.knows(word) and personal.written(word)[:1].isupper() != capital:
                found[word] *= MISWRITTEN

    @staticmethod
    def _with_letters(
        letters: Letters, text: str, typed: int, found: dict[str, float]
    ) -> dict[str, float]:
        likely = letters.next(text)
        weighed = {}
        for word, score in found.items():
            letter = word[typed : typed + 1]
            numbers = {letters.number(letter), letters.number(letter.upper())}
            chance = sum(float(likely[number]) for number in numbers if number)
            weighed[word] = score * float(max(chance, _FLOOR)) ** LETTERS_POWER
        return weighed

    def _as_written(self, word: str, prefix: str, starts_sentence: bool) -> str:
        """A word with capitals where they belong, beginning as it was begun."""
        shown = word if self.personal is None else self.personal.written(word)
        if word in _ALWAYS_CAPITAL or (starts_sentence and not prefix):
            shown = shown[:1].upper() + shown[1:]
        if len(prefix) > 1 and prefix.isupper():
            shown = word.upper()
        return prefix + shown[len(prefix) :]


def begun(text: str) -> str:
    """The letters at a text's end that a word has begun with; empty between words."""
    found = _BEGUN.search(text[-_REACH:])
    return found.group() if found else ""


def _before(text: str) -> tuple[str, ...]:
    """What its sentence says before the word that is typed, in lower case, and how it began."""
    text = text[: len(text) - len(begun(text))][-_REACH:]
    mark, begin, said = START, 0, ""
    for found in _BREAK.finditer(text):
        shortened = _SHORTENED.search(text, 0, found.start())
        if shortened and found.group().startswith("."):
            continue
        broken_off = bool(found["opened"]) and said.startswith(",")
        mark = SAID if found["said"] else CONTINUED if broken_off else START
        begin, said = found.end(), found["said"] or (said if found["opened"] else "")
    spoken = [mark]
    for each in _SPOKEN.findall(text[begin:]):
        if each[0].isalpha():
            spoken.append(each.lower().replace("\u2019", "'"))
        elif len(spoken) > 1 and spoken[-1] != PAUSE:
            spoken.append(PAUSE)
    return tuple(spoken)
