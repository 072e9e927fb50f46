"""What may be said after the wake word, and what it means: sentences with slots, in TOML.

    [slots]
    thing = ["light", "fan", "heating"]
    to = ["on", "off"]

    [intents.switch]
    say = ["turn {to} [the] {thing}", "turn [the] {thing} {to}"]

``{slot}`` stands for one of its words, ``[words]`` may be left out, everything else is said as it
is written. One text makes both the grammar that is listened for and the reading of what was heard,
so the two cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_sdk.errors import UsageError
from edge_sdk.toml_file import parse_toml, read_toml

_PIECE = re.compile(r"\{(\w+)\}|\[([\w' ]+)\]|([\w']+)")
_PLAIN = re.compile(r"(\{\w+\}|\[[\w' ]+\]|[\w']+)(\s+(\{\w+\}|\[[\w' ]+\]|[\w']+))*")
MAX_PHRASES = 2000


class _Intent(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    say: tuple[str, ...]


class _Spoken(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    intents: dict[str, _Intent]
    slots: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class Intent:
    """What a sentence stands for: a name, and the words its slots were filled with."""

    name: str
    slots: dict[str, str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Sentences and what they mean.

    Attributes:
        sentences: intent and sentence, in the order they are tried.
        slots: the words each slot may be.
    """

    sentences: tuple[tuple[str, str], ...]
    slots: dict[str, tuple[str, ...]]

    def words(self) -> set[str]:
        """Every word that can be said."""
        said = {word for phrase in self.slots.values() for each in phrase for word in each.split()}
        for _, sentence in self.sentences:
            for _, optional, plain in _PIECE.findall(sentence):
                said |= set((optional or plain).split())
        return said

    def grammar(self, before: Sequence[str] = ()) -> str:
        """The sentences as a JSGF grammar; one of some words may come before each."""
        lines = ["#JSGF V1.0;", "grammar commands;"]
        lines += [f"<{name}> = {' | '.join(words)};" for name, words in self.slots.items()]
        spoken = (sentence for _, sentence in self.sentences)
        rules = (re.sub(r"\{(\w+)\}", r"<\1>", sentence) for sentence in spoken)
        command = " | ".join(rules)
        if before:
            command = f"[{' | '.join(before)}] ({command})"
        return "\n".join([*lines, f"public <command> = {command};", ""])

    def phrases(self) -> Iterator[str]:
        """Every sentence that can be said, written out."""
        for _, phrase in self._meanings():
            yield phrase

    def intent(self, transcript: str) -> Intent | None:
        """The intent of what was heard; None if no sentence says that."""
        for name, sentence in self.sentences:
            if found := re.fullmatch(self._pattern(sentence), transcript.strip()):
                return Intent(name, found.groupdict())
        return None

    def _pattern(self, sentence: str) -> str:
        pattern = ""
        for slot, optional, plain in _PIECE.findall(sentence):
            if slot:
                choice = "|".join(re.escape(word) for word in self.slots[slot])
                pattern += rf"(?P<{slot}>{choice})\s*"
            else:
                word = re.escape(optional or plain)
                pattern += rf"(?:{word}\s*)?" if optional else rf"{word}\s*"
        return pattern

    def _meanings(self) -> Iterator[tuple[str, str]]:
        for name, sentence in self.sentences:
            for phrase in self._written_out(_PIECE.findall(sentence)):
                yield name, phrase

    def check(self, name: str) -> None:
        """Raises UsageError if it says too much, nothing at all, or one thing for two intents."""
        meant: dict[str, str] = {}
        for count, (intent, phrase) in enumerate(self._meanings(), 1):
            if count > MAX_PHRASES:
                raise UsageError(
                    f"{name} can say more than {MAX_PHRASES} sentences.",
                    "Leave out slots or sentences.",
                )
            if not phrase:
                raise UsageError(
                    f"{name}: of a sentence of {intent!r} every word may be left out.",
                    "Take one out of its brackets.",
                )
            if meant.setdefault(phrase, intent) != intent:
                raise UsageError(
                    f"{name}: {phrase!r} is said for {meant[phrase]!r} and for {intent!r}.",
                    "Leave it to one of them.",
                )

    def _written_out(self, pieces: list[tuple[str, str, str]]) -> Iterator[str]:
        if not pieces:
            yield ""
            return
        slot, optional, plain = pieces[0]
        choices = self.slots[slot] if slot else (("", optional) if optional else (plain,))
        for rest in self._written_out(pieces[1:]):
            for choice in choices:
                yield f"{choice} {rest}".strip()


def read_vocabulary(path: Path | str) -> Vocabulary:
    """Read a vocabulary from a TOML file.

    Raises:
        UsageError: no such file, no TOML, an unknown slot, nothing that can be said, or one
            sentence for two intents.
    """
    return _vocabulary(read_toml(Path(path)), str(path))


def parse_vocabulary(text: str, name: str = "the vocabulary") -> Vocabulary:
    """The same from its text."""
    return _vocabulary(parse_toml(text, name), name)


def _vocabulary(content: object, name: str) -> Vocabulary:
    try:
        spoken = msgspec.convert(content, _Spoken)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}: {error}.", "docs/voice.md shows how it is written.") from error
    found = Vocabulary(
        tuple((intent, each) for intent, said in spoken.intents.items() for each in said.say),
        {slot: tuple(words) for slot, words in spoken.slots.items()},
    )
    if not found.sentences:
        raise UsageError(f"{name} has nothing to say.", "Give an intent a sentence: say = ['stop']")
    for intent, sentence in found.sentences:
        _check(name, intent, sentence, found.slots)
    for slot, words in found.slots.items():
        if not words or not all(re.fullmatch(r"[\w']+( [\w']+)*", word) for word in words):
            raise UsageError(
                f"{name}: the slot {slot!r} has a choice that is no word.", "Letters alone."
            )
    found.check(name)
    return found


def _check(name: str, intent: str, sentence: str, slots: dict[str, tuple[str, ...]]) -> None:
    if not _PLAIN.fullmatch(sentence.strip()):
        raise UsageError(
            f"{name}: the sentence {sentence!r} of {intent!r} cannot be read.",
            "Words, {slots} and [words that may be left out], with spaces between them.",
        )
    used = [slot for slot, _, _ in _PIECE.findall(sentence) if slot]
    if unknown := [slot for slot in used if slot not in slots]:
        raise UsageError(
            f"{name}: {sentence!r} has a slot {unknown[0]!r} that nothing fills.",
            f"Below [slots]: {unknown[0]} = ['…']",
        )
    if len(set(used)) < len(used):
        raise UsageError(f"{name}: {sentence!r} has a slot twice.", "Name the second another way.")


HOUSE = Vocabulary(
    sentences=(
        ("switch", "turn {to} [the] {thing}"),
        ("switch", "turn [the] {thing} {to}"),
        ("switch", "turn {to} [the] {room} {thing}"),
        ("time", "what time is it"),
        ("stop", "stop"),
    ),
    slots={
        "thing": ("light", "lights", "lamp", "fan", "radio", "heating", "music"),
        "to": ("on", "off"),
        "room": ("kitchen", "bedroom", "bathroom", "hall"),
    },
)
"""A few commands for a house, where no other vocabulary is given."""
