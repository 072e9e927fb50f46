"""Small words for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.text import bytes_text, nearest, printable, table


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1049, "1.0 kB"),
        (99_940, "99.9 kB"),
        (99_960, "100 kB"),
        (427_000, "427 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (14_000_000, "14.0 MB"),
        (999_499_999, "999 MB"),
        (1_000_000_000, "1.0 GB"),
        (4_278_190_080, "4.3 GB"),
    ],
)
def test_bytes(count: int, text: str) -> None:
    assert bytes_text(count) == text


def test_nearest() -> None:
    assert nearest("verfy", ["verify", "inspect"]) == "Did you mean 'verify'?"
    assert nearest("zzz", ["verify", "inspect"]) == "There are: verify, inspect."
    assert nearest("zzz", []) == "There are none."
    assert nearest("verfy", iter(["verify"])) == "Did you mean 'verify'?"


def test_table() -> None:
    text = table(("variant", "size"), [("tflite-int8", "427 kB"), ("x", "1.2 MB")], "<>")
    assert text == (
        "variant        size\n-----------  ------\ntflite-int8  427 kB\nx            1.2 MB"
    )
    assert table(("a", "b"), []) == "a  b\n-  -"
    assert table(("name", "b"), [("x", "")], "<>").splitlines()[-1] == "x", "no trailing spaces"


def test_a_row_of_another_width_is_a_bug() -> None:
    with pytest.raises(ValueError, match="shorter"):
        table(("a", "b"), [("x", "y", "z")])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("café 日本 👍", "café 日本 👍"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("one\ntwo\t\r", "one\\ntwo\\t\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udcff", "\\udcff"),
        ("", ""),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_what_is_printable_is_one_line_that_can_be_printed(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert printable(shown) == shown
