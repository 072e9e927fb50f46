"""What may be said: one text is the grammar and the reading of what was heard."""

from __future__ import annotations

import pytest

from edge_sdk.errors import UsageError
from edge_sdk.voice.vocabulary import HOUSE, Intent, Vocabulary, parse_vocabulary

PAINT = """
[slots]
colour = ["red", "dark red", "blue"]
[intents.paint]
say = ["paint [the wall] {colour}", "{colour} please"]
[intents.stop]
say = ["stop"]
"""


def test_every_sentence_that_can_be_said_is_understood() -> None:
    for vocabulary in (HOUSE, parse_vocabulary(PAINT)):
        phrases = list(vocabulary.phrases())
        assert len(phrases) > 5
        assert all(vocabulary.intent(phrase) is not None for phrase in phrases)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("paint the wall dark red", Intent("paint", {"colour": "dark red"})),
        ("paint blue", Intent("paint", {"colour": "blue"})),
        ("red please", Intent("paint", {"colour": "red"})),
        ("stop", Intent("stop", {})),
        ("paint", None),
        ("stop please", None),
        ("", None),
    ],
)
def test_an_intent_and_its_slots(said: str, meant: Intent | None) -> None:
    assert parse_vocabulary(PAINT).intent(said) == meant


def test_the_grammar_is_the_same_sentences() -> None:
    grammar = parse_vocabulary(PAINT).grammar()
    assert "<colour> = red | dark red | blue;" in grammar
    assert "public <command> = paint [the wall] <colour> | <colour> please | stop;" in grammar
    after = parse_vocabulary(PAINT).grammar(["bu", "u"])
    assert "public <command> = [bu | u] (paint [the wall] <colour> | <colour> please" in after
    assert parse_vocabulary(PAINT).words() == {
        *("paint", "the", "wall", "red", "dark", "blue", "please", "stop")
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[intents]", "nothing to say"),
        ('[intents.a]\nsay = ["go {where}"]', "slot 'where' that nothing fills"),
        ('[intents.a]\nsay = ["go; now"]', "cannot be read"),
        ('[intents.a]\nsay = ["go"]\n[slots]\nx = ["a|b"]', "no word"),
        ('[slots]\nx = ["a"]\n[intents.a]\nsay = ["{x} and {x}"]', "slot twice"),
        ('[intents.a]\nsays = ["go"]', "says"),
        ("say =", "not TOML"),
        ('[intents.a]\nsay = ["[please]"]', "every word may be left out"),
        (
            '[slots]\nx = ["lamp", "fan"]\n[intents.a]\nsay = ["stop [the] {x}"]\n'
            '[intents.b]\nsay = ["stop the fan"]',
            "'stop the fan' is said for 'a' and for 'b'",
        ),
    ],
)
def test_a_vocabulary_that_cannot_be_used(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        parse_vocabulary(text, "mine.toml")
    assert "mine.toml" in refused.value.message


def test_too_many_sentences() -> None:
    slots = "\n".join(f"s{i} = ['a', 'b', 'c', 'd']" for i in range(8))
    spoken = " ".join(f"{{s{i}}}" for i in range(8))
    with pytest.raises(UsageError, match="more than 2000"):
        parse_vocabulary(f"[slots]\n{slots}\n[intents.a]\nsay = ['{spoken}']")


def test_a_vocabulary_is_a_value() -> None:
    assert Vocabulary((("stop", "stop"),), {}).intent("stop") == Intent("stop", {})
