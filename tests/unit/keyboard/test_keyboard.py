"""The keyboard on a language of ten words, whose probabilities can be worked out by hand."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_sdk.errors import UsageError
from edge_sdk.keyboard import personal as personal_module
from edge_sdk.keyboard.composer import BACKSPACE, ENTER, TAB, TAKING, Composer
from edge_sdk.keyboard.keyboard import SAID, Keyboard, begun
from edge_sdk.keyboard.personal import Personal
from edge_sdk.keyboard.typist import plain, press_next, type_text
from edge_sdk.keyboard.words import Words, read_words

VOCABULARY = sorted(["<s>", "a", "cat", "cats", "i", "sat", "saw", "the", "dog", "don't"])
LIKELY = {"the": 0.3, "a": 0.2, "cat": 0.1, "dog": 0.1, "sat": 0.08, "saw": 0.07, "i": 0.1}
PAIRS = {("<s>", "the"): 0.6, ("the", "cat"): 0.5, ("the", "dog"): 0.3, ("cat", "sat"): 0.7}
TRIPLES = {("the", "cat", "saw"): 0.9}
BACKOFF = 0.4


def arrays() -> dict[str, np.ndarray]:
    number = {word: at for at, word in enumerate(VOCABULARY)}
    pairs = sorted((number[a], number[b], p) for (a, b), p in PAIRS.items())
    keys = [pair[:2] for pair in pairs]
    triples = sorted(
        (keys.index((number[a], number[b])), number[c], p) for (a, b, c), p in TRIPLES.items()
    )
    firsts, heads = [p[0] for p in pairs], [t[0] for t in triples]
    log = lambda values: np.log(np.array(list(values))).astype(np.float32)  # noqa: E731
    return {
        "words": np.frombuffer("\n".join(VOCABULARY).encode(), np.uint8),
        "unigrams": log(LIKELY.get(word, 0.005) for word in VOCABULARY),
        "backoffs": log(BACKOFF for _ in VOCABULARY),
        "bigram_at": np.searchsorted(firsts, np.arange(len(VOCABULARY) + 1)).astype(np.int32),
        "bigram_words": np.array([p[1] for p in pairs], np.int32),
        "bigrams": log(p[2] for p in pairs),
        "bigram_backoffs": log(BACKOFF for _ in pairs),
        "trigram_at": np.searchsorted(heads, np.arange(len(pairs) + 1)).astype(np.int32),
        "trigram_words": np.array([t[1] for t in triples], np.int32),
        "trigrams": log(t[2] for t in triples),
    }


@pytest.fixture
def words(tmp_path: Path) -> Words:
    np.savez(tmp_path / "words.npz", **arrays())
    return read_words(tmp_path / "words.npz")


@pytest.mark.parametrize(
    ("context", "word", "likely"),
    [
        ((), "cat", 0.1),
        (("the",), "cat", 0.5),
        (("the",), "saw", BACKOFF * 0.07),
        (("the", "cat"), "saw", 0.9),
        (("the", "cat"), "sat", BACKOFF * 0.7),
        (("the", "cat"), "i", BACKOFF * BACKOFF * 0.1),
        (("a", "cat"), "sat", 0.7),
        (("zebra", "cat"), "sat", 0.7),
        (("cat", "zebra"), "sat", 0.08),
        (("the", "the", "cat"), "saw", 0.9),
    ],
)
def test_katz_s_back_off(words: Words, context: tuple[str, ...], word: str, likely: float) -> None:
    number = words.number(word)
    assert number is not None
    alone = words.scores(context, range(number, number + 1))
    among_all = words.scores(context, range(len(words.words)))[number]
    assert math.exp(alone[0]) == pytest.approx(likely, rel=1e-5)
    assert alone[0] == among_all


def test_words_that_begin_alike_are_a_range(words: Words) -> None:
    assert [words.words[at] for at in words.beginning_with("ca")] == ["cat", "cats"]
    assert [words.words[at] for at in words.beginning_with("do")] == ["dog", "don't"]
    assert len(words.beginning_with("")) == len(VOCABULARY)
    assert not words.beginning_with("x")
    assert words.number("ca") is None


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", "The"),
        ("the ", "cat"),
        ("the d", "dog"),
        ("The cat s", "saw"),
        ("A cat s", "sat"),
        ("THE C", "Cat"),
        ("THE CA", "CAT"),
        ("The cat. ", "The"),
        ("The cat, s", "saw"),
        ("the cat, then ", "the"),
    ],
)
def test_the_first_suggestion(words: Words, text: str, first: str) -> None:
    assert Keyboard(words).suggest(text)[0] == first


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ('"The cat!" ', "the"),
        ('"The cat," ', "the"),
        ('"The cat." ', "The"),
        ('I saw, "', "The"),
        ('"The cat," I saw, "', "the"),
        ('"The cat!" I saw: "', "The"),
        ("I saw Mr. ", "the"),
        ("I saw Mrs. ", "the"),
        ("I saw J. ", "the"),
        ("saw I. ", "The"),
        ("I saw the cat. ", "The"),
    ],
)
def test_where_a_sentence_begins(words: Words, text: str, first: str) -> None:
    """A capital where it does, and none behind a quotation, an initial or a title."""
    assert Keyboard(words).suggest(text)[0] == first


def test_what_follows_a_quotation_is_learnt_as_such(words: Words) -> None:
    personal = Personal()
    keyboard = Keyboard(words, personal=personal)
    for text in ['"No," quoth', '"The dog," quoth', '"The cat!" quoth'] * 4:
        keyboard.learn(text)
    assert keyboard.suggest('"I saw," ')[0] == "quoth"
    elsewhere = personal.mixed("", ("i", "saw"), {})["quoth"]
    assert personal.mixed("", (SAID,), {})["quoth"] > 1.2 * elsewhere


def test_a_capital_says_whether_a_name_is_meant(words: Words) -> None:
    keyboard = Keyboard(words, personal=Personal())
    for text in ["saw Doris"] * 4 + ["saw dots"] * 6:
        keyboard.learn(text)
    assert keyboard.suggest("I saw D")[0] == "Doris"
    assert keyboard.suggest("I saw d")[0] == "dots"
    assert keyboard.suggest("Saw. D")[0] != "Doris"  # where a sentence begins it says nothing


def test_i_is_a_capital_and_apostrophes_belong_to_words(words: Words) -> None:
    assert "I" in Keyboard(words).suggest("saw ", 10)
    assert Keyboard(words).suggest("don\u2019") == ["don\u2019t"]
    assert begun("I don't") == "don't"
    assert begun("'the") == "the"
    assert begun("the ") == ""


def test_half_precision_answers_alike(tmp_path: Path, words: Words) -> None:
    half = {
        name: a.astype(np.float16) if a.dtype == np.float32 else a for name, a in arrays().items()
    }
    half |= {name: half[name].astype(np.uint16) for name in ("bigram_words", "trigram_words")}
    np.savez(tmp_path / "half.npz", **half)
    small = read_words(tmp_path / "half.npz")
    for context in ((), ("the",), ("the", "cat"), ("a", "cat")):
        for among in (range(len(VOCABULARY)), range(3, 6), range(4, 4)):
            scores = small.scores(context, among)
            assert scores.dtype == np.float32
            assert scores == pytest.approx(words.scores(context, among), abs=2e-3)


def test_nothing_to_suggest(words: Words) -> None:
    assert Keyboard(words).suggest("xyz") == []
    assert Keyboard(words).suggest("dog") == []
    assert Keyboard(words).suggest("the ", 0) == []


def test_names_are_learnt_with_their_capitals(words: Words, tmp_path: Path) -> None:
    keyboard = Keyboard(words, personal=Personal())
    for text in ("I saw Zoë", "You saw Zoë", "Tell Zoë", "The", "a McDuff", "a McDuff"):
        keyboard.learn(text)
    assert keyboard.suggest("saw z")[0] == "zoë"  # begun small, it is left as it was begun
    assert "Zoë" in keyboard.suggest("saw ")
    assert keyboard.suggest("a Mc")[0] == "McDuff"
    assert keyboard.suggest("saw t")[0] == "the"  # that capital was the sentence's
    assert keyboard.personal is not None
    keyboard.personal.save(tmp_path / "me.json")
    again = Keyboard(words, personal=Personal.open(tmp_path / "me.json"))
    assert again.suggest("saw ") == keyboard.suggest("saw ")
    assert (tmp_path / "me.json").stat().st_mode & 0o077 == 0


def test_habit_corrects_the_model_the_more_the_more_is_seen() -> None:
    personal, known = Personal(), {"cat": 0.5, "dog": 0.3}
    assert personal.mixed("", ("the",), known) == known
    chances = []
    for _ in range(30):
        personal.learn("Doge", ("saw", "the"))
        mixed = personal.mixed("", ("saw", "the"), known)
        assert mixed["cat"] > mixed["dog"] > 0
        assert 0 < sum(mixed.values()) < 1
        chances.append(mixed["doge"])
    assert chances == sorted(chances)
    assert chances[0] < 0.3
    assert chances[-1] > 0.8
    elsewhere = (
        personal.mixed("do", ("a", "the"), known)["doge"],
        personal.mixed("do", (), {})["doge"],
    )
    assert chances[-1] > elsewhere[0] > elsewhere[1] > 0.02
    assert "doge" not in personal.mixed("dot", ("the",), known)


def test_a_word_that_is_never_typed_is_expected_less() -> None:
    """And one that is typed oftener than the model thinks, more; all in all, alike."""
    personal = Personal()
    known, anywhere = {"percent": 0.3, "upon": 0.2, "often": 0.1}, {"percent": 0.1, "upon": 0.001}
    for word in (["upon"] + ["else"] * 19) * 20:
        personal.learn(word, ("said",))
    mixed = personal.mixed("", ("the",), known, anywhere)
    assert mixed["upon"] > 10 * mixed["percent"]
    assert mixed["often"] < known["often"]
    as_thought = {"percent": 0.0, "upon": personal.mixed("", (), {})["upon"], "often": 0.0}
    alike = personal.mixed("", ("the",), known, as_thought)
    assert alike["percent"] / alike["often"] == pytest.approx(3)
    assert sum(mixed.values()) == pytest.approx(sum(alike.values()))


def test_what_comes_after_a_comma_is_learnt_as_such(words: Words) -> None:
    keyboard = Keyboard(words, personal=Personal())
    for text in ["The dog, quoth", "I saw: quoth", "A cat -- quoth", "a cat; quoth"]:
        keyboard.learn(text)
    assert "quoth" in keyboard.suggest("the cat sat, ")
    assert "quoth" not in keyboard.suggest("the cat sat ")
    assert keyboard.suggest("The cat, s")[0] == "saw"  # the model knows no comma


def test_what_was_typed_of_late_counts_more() -> None:
    personal = Personal()
    for word in ["early"] * 20 + ["other"] * 800 + ["elate"] * 20:
        personal.learn(word, ())
    mixed = personal.mixed("e", (), {})
    assert mixed["elate"] > 2 * mixed["early"] > 0


def test_what_was_passed_over_makes_room(words: Words) -> None:
    keyboard = Keyboard(words)
    first = keyboard.suggest("the ")
    second = keyboard.suggest("the ", passed=first)
    assert not set(first) & set(second)
    assert keyboard.suggest("the do", passed=["dog", "don't"]) == ["dog", "don't"]


def test_a_personal_dictionary_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_module, "MAX_WORDS", 50)
    personal = Personal()
    for at in range(400):
        personal.learn(f"word{'abcdefghij'[at % 10]}{'xyz' * (at % 30)}", ("the",))
        personal.learn("often", ("very",))
        assert len(personal) <= 51
    assert personal.mixed("of", ("very",), {})["often"] > 0.4
    personal.learn("x" * 1000, ("the",))
    assert not personal.mixed("xx", ("the",), {})


@pytest.mark.parametrize("content", ["", "[]", '{"words": 3}', "\0", "[" * 100_000])
def test_a_file_that_is_no_personal_dictionary(tmp_path: Path, content: str) -> None:
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(UsageError, match="no personal dictionary"):
        Personal.open(tmp_path / "other.json")
    assert (tmp_path / "other.json").read_text() == content


def test_a_file_that_is_no_model_of_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_words(tmp_path / "missing.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK no zip")
    with pytest.raises(UsageError, match="no model of words"):
        read_words(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", words=np.zeros(3, np.uint8))
    with pytest.raises(UsageError, match="no model of words"):
        read_words(tmp_path / "other.npz")
    np.savez(tmp_path / "cut.npz", **{**arrays(), "trigrams": np.zeros(0, np.float32)})
    with pytest.raises(UsageError, match="damaged"):
        read_words(tmp_path / "cut.npz")


def test_keys_are_counted_as_they_are_pressed(words: Words) -> None:
    # "The " and "cat" are taken from empty; the full stop steps before the space that came.
    typed = type_text(Keyboard(words), "The cat.")
    assert (typed.letters, typed.keys) == (8, 3)
    assert type_text(Keyboard(words), "qx zz").keys == 5
    assert type_text(Keyboard(words), "", 3).saved == 0.0
    assert plain("It\u2019s  one\nline\n\n\nand \u201ctwo\u201d") == 'It\'s one line\nand "two"'


def press(composer: Composer, keys: str) -> None:
    for key in keys:
        composer.press(key)


def test_a_line_under_the_keys(words: Words) -> None:
    composer = Composer(Keyboard(words, personal=Personal()))
    assert composer.suggestions[0] == "The"
    press(composer, TAB)
    assert composer.text == "The "
    composer.press("F1")
    assert composer.text == "The cat "
    press(composer, ".")
    assert composer.text == "The cat. "
    press(composer, f" 9{BACKSPACE}")
    assert composer.text == "The cat. "
    assert composer.press(ENTER) == "The cat."
    assert (composer.text, composer.letters, composer.keys) == ("", 9, 7)


@pytest.mark.parametrize(
    ("before", "keys", "text"),
    [
        ("", ".", "The. "),
        ("", "...", "The... "),
        ("", "?)a", "The?) a"),
        ("", "-a", "The-a"),
        ("", " -a", "The -a"),
        ("", "'s", "The's"),
        ("", ",' a", "The,' a"),
        ("", "(a", "The (a"),
        ("", "7", "The 7"),
        ("", '"a', 'The "a'),
        ('"', '."a', '"the." a'),
        ('"', '," "a', '"the," "a'),
        ("", f"{BACKSPACE}.a", "The.a"),
    ],
)
def test_the_space_that_came_with_a_word(words: Words, before: str, keys: str, text: str) -> None:
    composer = Composer(Keyboard(words))
    press(composer, before)
    composer.press(TAKING[[each.lower() for each in composer.suggestions].index("the")])
    press(composer, keys)
    assert composer.text.lower() == text.lower()


@pytest.mark.parametrize(
    "line",
    [
        'The cat, "the dog," the cats. "I saw."',
        "'the cat,' the dog's 'cats!'",
        "the (cat) the(cat) the - cat -- the -cat's dog don't",
        "the cat 'the dog' a 7 the7cat the 50% a/the",
        'the" cat " the "cat "the',
        "the  cat .  the ",
        "The\u2019s \u201cthe\u201d the\u2014cat",
        "",
    ],
)
def test_a_line_is_typed_as_it_shall_be(words: Words, line: str) -> None:
    composer = Composer(Keyboard(words, personal=Personal()))
    for _ in range(2):  # the second time it knows all the words
        while composer.text[: len(composer.text) - composer.space_given] != line:
            press_next(composer, line)
            assert composer.keys < 500
        assert composer.press(ENTER) == line.rstrip()


def test_a_digit_is_a_digit_whatever_is_offered(words: Words) -> None:
    composer = Composer(Keyboard(words))
    press(composer, "saw ")
    assert len(composer.suggestions) == 3
    press(composer, "1 2 3")
    assert composer.text == "saw 1 2 3"
    assert Composer(Keyboard(words)).press("F9") is None


def test_keys_that_type_nothing(words: Words) -> None:
    composer = Composer(Keyboard(words))
    press(composer, "xy\x01")
    assert (composer.suggestions, composer.press(""), composer.press(TAB)) == ([], None, None)
    composer.press("F2")
    assert (composer.text, composer.keys) == ("xy", 5)


def test_the_typist_presses_keys_as_a_person_does(
    words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    pressed: list[str] = []
    real = Composer.press
    monkeypatch.setattr(
        Composer, "press", lambda composer, key: [pressed.append(key), real(composer, key)][1]
    )
    text = "The cat saw 1 dog.\nIn 1999 the cats sat"
    typed = type_text(Keyboard(words, personal=Personal()), text)
    assert typed.keys == len(pressed)
    assert {"F1", "1", ENTER} < set(pressed)
    by_hand = Composer(Keyboard(words, personal=Personal()))
    lines = [line for key in pressed if (line := real(by_hand, key)) is not None]
    assert [*lines, by_hand.text.rstrip()] == text.split("\n")
    with pytest.raises(UsageError, match="No key types"):
        type_text(Keyboard(words), "soft\xadhyphen")
    assert plain("soft\xad\u200bhyphen\x00") == "softhyphen"


def test_what_is_typed_is_learnt_once_it_is_ended(words: Words) -> None:
    personal = Personal()
    composer = Composer(Keyboard(words, personal=personal))
    press(composer, "see Zebedee")
    assert not personal.mixed("zeb", ("see",), {})
    press(composer, ENTER)
    assert personal.mixed("zeb", ("see",), {})
    assert json.dumps(composer.suggestions)


def state(personal: Personal, folder: Path) -> bytes:
    personal.save(folder / "state.json")
    return (folder / "state.json").read_bytes()


@pytest.mark.parametrize(
    ("keys", "stands"),
    [
        (["F1", *[BACKSPACE] * 4], ""),
        (["F1", "F1", *[BACKSPACE] * 4], "the"),
        (["F1", "F1", BACKSPACE, " "], "the cat"),
        (["F1", "F1", "'", "s", " "], "the cat's"),
        ([*"Zoe Zo ", *[BACKSPACE] * 3], "zoe"),
        ([*"Zoe ZOE ", *[BACKSPACE] * 3], "zoe"),
        ([*"the cat sat", *[BACKSPACE] * 11, *"a dog"], "a dog"),
    ],
    ids=["taken", "second", "once", "altered", "capitals", "shorter", "all"],
)
def test_what_is_erased_is_unlearnt(
    words: Words, tmp_path: Path, keys: list[str], stands: str
) -> None:
    """What is learnt of a line is what stands in it, and of what is gone no trace is left."""
    personal = Personal()
    composer = Composer(Keyboard(words, personal=personal))
    for key in keys:
        composer.press(key)
    line = composer.press(ENTER) or ""
    assert line.lower().startswith(stands)
    other = Personal()
    by_hand = Composer(Keyboard(words, personal=other))
    press(by_hand, f"{line}{ENTER}")
    assert state(personal, tmp_path) == state(other, tmp_path)
    for prefix in ("", "z", "c"):
        assert personal.mixed(prefix, ("the",), {}) == other.mixed(prefix, ("the",), {})
    assert composer.suggestions == by_hand.suggestions


@given(st.lists(st.sampled_from([*"ab A'.-1", TAB, "F2", *[BACKSPACE] * 4]), max_size=40))
def test_learning_follows_what_stands_there(keys: list[str]) -> None:
    language = Words(**{**arrays(), "words": VOCABULARY})
    personal, other = Personal(), Personal()
    composer = Composer(Keyboard(language, personal=personal))
    for key in keys:
        composer.press(key)
    text = composer.text
    composer.press(ENTER)
    by_hand = Composer(Keyboard(language, personal=other))
    press(by_hand, f"{text}{ENTER}")
    assert len(personal) == len(other)
    for prefix in "abcdist":
        for before in ((), ("a",), ("the", "cat")):
            ours, theirs = (each.mixed(prefix, before, {}) for each in (personal, other))
            assert ours == pytest.approx(theirs)


def test_what_has_faded_meanwhile_is_unlearnt_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(personal_module, "MAX_WORDS", 5)
    personal = Personal()
    learnt = [personal.learn(f"word{letter}", ("the",)) for letter in "abcdefghabab"]
    for each in reversed(learnt):
        assert each is not None
        personal.unlearn(each)
    assert len(personal) == 0
    assert personal.mixed("", ("the",), {"cat": 0.5}) == {"cat": 0.5}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"words": {"a": -20}, "written": {}, "pairs": {}}', "Expected `int` >= 1"),
        ('{"words": {"a": 1e999}, "written": {}, "pairs": {}}', "out of range"),
        ('{"words": {"a": 1}, "written": {"a": "\\ud800"}, "pairs": {}}', "surrogate"),
        ('{"words": {"a": 1}, "written": {}, "pairs": {"b": {"a": 0}}}', "Expected `int` >= 1"),
        ('{"words": {"a": 1}, "written": {"a": "b"}, "pairs": {}}', "'b' is not 'a' with capitals"),
        ('{"words": {"A": 1}, "written": {}, "pairs": {}}', "'A' is no word in lower case"),
        ('{"words": {"\\u001b[2J": 1}, "written": {}, "pairs": {}}', "is no word in lower case"),
        ('{"words": {"a": 1}, "writ', "truncated"),
    ],
    ids=["negative", "huge", "surrogate", "none", "another", "capital", "escape", "half"],
)
def test_a_damaged_personal_dictionary_is_left_as_it_is(
    tmp_path: Path, content: str, why: str
) -> None:
    path = tmp_path / "me.json"
    path.write_text(content)
    with pytest.raises(UsageError) as raised:
        Personal.open(path)
    assert str(path) in raised.value.message
    assert why in raised.value.message
    assert f"mv {path} " in raised.value.hint
    assert path.read_text() == content


def test_a_word_may_be_taken_out_of_the_file_by_hand(tmp_path: Path) -> None:
    personal, path = Personal(), tmp_path / "me.json"
    personal.learn("Zoë", ("saw",))
    personal.learn("cat", ("saw",))
    personal.save(path)
    content = json.loads(path.read_text())
    del content["words"]["zoë"]
    path.write_text(json.dumps(content))
    again = Personal.open(path)
    assert set(again.mixed("", ("saw",), {})) == {"cat"}
    assert "zo" not in state(again, tmp_path).decode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["words", "written", "pairs", "a", "B"]), below)
    ),
    max_leaves=8,
)
COUNTS = st.dictionaries(st.text(max_size=3), st.integers(-2, 1 << 60) | st.floats() | st.none())
DICTIONARIES = st.fixed_dictionaries(
    {
        "words": COUNTS,
        "written": st.dictionaries(st.text(max_size=2), st.text(max_size=2)),
        "pairs": st.dictionaries(st.text(max_size=2), COUNTS),
    }
)


@given(st.one_of(JSON.map(json.dumps), DICTIONARIES.map(json.dumps), st.text()))
@example('{"words":{"i\u0307":1},"written":{"i\u0307":"\u0130"},"pairs":{}}')
def test_whatever_is_in_the_file_is_used_or_refused(content: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "me.json"
        path.write_text(content, encoding="utf-8", errors="surrogatepass")
        before = path.read_bytes()
        try:
            personal = Personal.open(path)
        except UsageError as error:
            assert str(path) in error.message
            assert path.read_bytes() == before
            return
        learnt = [personal.learn(word, ("a",)) for word in ("A", "b", "b")]
        for prefix in ("", "a"):
            mixed = personal.mixed(prefix, ("a", "b"), {"a": 0.5})
            assert all(0 <= chance <= 1 for chance in mixed.values())
        for each in reversed(learnt):
            assert each is not None
            personal.unlearn(each)
        personal.save(path)
        assert len(Personal.open(path)) == len(personal)
