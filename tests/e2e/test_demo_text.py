"""Predictive text on its real models: the trigram, the network, a terminal, a novel."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pocketsphinx
import pytest

from edge_sdk.demos import text as demo
from edge_sdk.errors import UsageError
from edge_sdk.keyboard.keyboard import Keyboard
from edge_sdk.keyboard.letters import Letters
from edge_sdk.keyboard.words import Words, read_words
from examples.assets import asset
from examples.predictive_text.make import models
from tests.e2e.conftest import Edge

ROOT = Path(__file__).parents[2]
PATIENCE_S = 90


@pytest.fixture(scope="module")
def folder() -> Path:
    return models()


@pytest.fixture(scope="module")
def words(folder: Path) -> Words:
    return read_words(folder / "words.npz")


@pytest.fixture(scope="module")
def letters(folder: Path):
    with Letters(folder / "letters.edge", folder / "alphabet.json") as opened:
        yield opened


@pytest.mark.parametrize(
    "said",
    ["thank you very", "of the united", "zebra of green", "i don't know", "the man who"],
)
def test_the_pruned_trigram_is_pocketsphinx_s_where_it_was_kept(words: Words, said: str) -> None:
    """The peer is PocketSphinx itself, whose words come last one first."""
    config, logarithms = pocketsphinx.Config(), pocketsphinx.LogMath()
    path = pocketsphinx.get_model_path("en-us/en-us.lm.bin")
    peer = pocketsphinx.NGramModel(config, logarithms, path)
    *context, word = said.split()
    number = words.number(word)
    assert number is not None
    ours = float(words.scores(tuple(context), range(number, number + 1))[0])
    theirs = peer.prob([word, *reversed(context)]) * np.log(1.0001)
    assert ours == pytest.approx(theirs, abs=0.01)


def test_probabilities_sum_to_about_one(words: Words) -> None:
    for context in (("<s>",), ("of", "the"), ("thank",)):
        total = float(np.exp(words.scores(context, range(len(words.words)))).sum())
        assert 0.6 < total < 1.1


def test_the_network_reads_letters(letters: Letters) -> None:
    likely = letters.next("the presid")
    assert likely.sum() == pytest.approx(1.0, abs=1e-3)
    assert likely.argmax() == letters.number("e")
    assert likely[letters.number("e")] > 0.9
    # The window is all it knows.
    text = "It was a bright cold day in April, and the clocks were striking thirteen."
    assert np.array_equal(letters.next(text), letters.next(text[-40:]))
    assert not np.array_equal(letters.next(text), letters.next(text[-20:]))


def test_the_network_has_a_say(words: Words, letters: Letters) -> None:
    alone, both = Keyboard(words), Keyboard(words, letters)
    texts = [f"{text}{begun}" for text in ("The best ", "How to ", "What is ") for begun in "abcms"]
    assert any(alone.suggest(text) != both.suggest(text) for text in texts)


def test_suggestions_for_ordinary_english(words: Words, letters: Letters) -> None:
    keyboard = Keyboard(words, letters)
    assert keyboard.suggest("Thank ")[0] == "you"
    assert "looking" in keyboard.suggest("I am loo")
    assert keyboard.suggest("the united s")[0] == "states"


def test_a_novel_is_typed_with_fewer_keys(edge: Edge) -> None:
    done = edge("demo", "text", "--input", asset("alice"), "--letters", "2500", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["letters"] == 2500
    assert found["saved"] == pytest.approx(1 - found["keys"] / 2500, abs=1e-4)
    assert found["saved"] > 0.42
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]


def test_what_may_come_after_a_text(edge: Edge) -> None:
    done = edge("demo", "text", "--after", "Thank ", "--no-network", "--json")
    assert json.loads(done.out)["suggestions"][0] == "you"
    assert edge("demo", "text", "--after", "xqzw", "--no-network").out.strip() == (
        "no word begins so"
    )


def test_a_personal_dictionary_between_runs(edge: Edge, tmp_path: Path) -> None:
    mine, page = tmp_path / "me.json", tmp_path / "page.txt"
    page.write_text("Call Zebedee now. Call Zebedee later. Call Zebedee again.")
    words = ("demo", "text", "--no-network", "--personal", mine, "--json")
    first = json.loads(edge(*words, "--input", page).out)
    second = json.loads(edge(*words, "--input", page).out)
    assert second["keys"] < first["keys"]
    suggested = json.loads(edge(*words, "--after", "Please call ").out)["suggestions"]
    assert "Zebedee" in suggested


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [("empty.txt", b"", "no text"), ("bytes.txt", b"\xff\xfe\0", "not UTF-8"), ("none", None, "")],
)
def test_a_page_that_cannot_be_typed(
    edge: Edge, tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = edge("demo", "text", "--no-network", "--input", tmp_path / name)
    assert done.code == 2
    assert says in done.err
    assert name in done.err


@pytest.mark.parametrize(
    ("piped", "says"),
    [(b"", "The pipe holds no text"), (b"\xff\xfe\0", "The pipe is not UTF-8")],
    ids=["nothing", "bytes"],
)
def test_a_pipe_that_cannot_be_typed(piped: bytes, says: str) -> None:
    command = [sys.executable, "-m", "edge_sdk", "demo", "text", "--no-network", "--input", "-"]
    done = subprocess.run(command, input=piped, capture_output=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr.decode()


def test_models_that_are_none(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not read 40 letters"):
        Letters(asset("selfie-segmentation"), folder / "alphabet.json")
    (tmp_path / "alphabet.json").write_text('{"a": 9999}')
    with pytest.raises(UsageError, match="not the alphabet"):
        Letters(folder / "letters.edge", tmp_path / "alphabet.json")
    (tmp_path / "alphabet.json").write_text("[]")
    with pytest.raises(UsageError, match="numbers"):
        Letters(folder / "letters.edge", tmp_path / "alphabet.json")


@contextmanager
def typing(folder: Path, mine: Path, *flags: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A keyboard at a pseudo terminal, ready; our end of it, and the program."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "edge_sdk", "demo", "text", "--no-network", *flags]
    with subprocess.Popen(
        [*command, "--models", folder, "--personal", mine],
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        end = threading.Timer(PATIENCE_S, process.kill)
        end.start()
        try:
            yield ours, process
        finally:
            end.cancel()
            process.kill()
            os.close(theirs)
            os.close(ours)


OFFERED = b"\x1b[2mTab "
"""Before that the keys are flushed."""


def test_a_person_at_a_terminal(folder: Path, tmp_path: Path) -> None:
    """A pseudo terminal: keys in, the screen out, and the terminal as it was afterwards."""
    with typing(folder, tmp_path / "me.json", "--json") as (ours, process):
        before = termios.tcgetattr(ours)
        screen = read_until(ours, OFFERED)
        os.write(ours, b"Thank y\t\x1b[Avery\x7f\x7f\x7f\x7fso \x1bOP\n")
        screen += read_until(ours, b"Thank you so much")
        os.write(ours, b"\x04")
        assert process.stdout is not None
        found = json.loads(process.stdout.read())
        assert process.wait(PATIENCE_S) == 0
        assert termios.tcgetattr(ours)[3] == before[3]
        assert termios.tcgetattr(ours)[6] == before[6]
    assert b"learnt into" in screen
    assert b"Tab \x1b[22myou   \x1b[2mF2 " in screen
    assert b"\x1b[JThank y\r" in screen  # the line is whole, though such a terminal has no width
    assert found["letters"] == len("Thank you so much") + 1
    assert found["keys"] == 8 + 8 + 5
    assert "much" in json.loads((tmp_path / "me.json").read_text())["words"]


@pytest.mark.parametrize(
    "sent", [b"\x1bOQ", b"\x1b[[B", b"\x1b[12~", b"\x1b2"], ids=["xterm", "linux", "vt220", "alt"]
)
def test_every_terminal_s_second_key(folder: Path, tmp_path: Path, sent: bytes) -> None:
    with typing(folder, tmp_path / "me.json") as (ours, _):
        read_until(ours, OFFERED)
        os.write(ours, b"Thank ")
        screen = read_until(ours, b"\x1b[6C")  # the cursor, behind all else
        second = re.findall(rb"F2 \x1b\[22m(\S+)", screen)[-1]
        os.write(ours, sent + b"9\n")
        read_until(ours, b"\x1b[JThank " + second + b" 9\r\r\n\r")


@pytest.mark.parametrize(
    ("width", "keys"), [(80, ["Tab", "F2", "F3"]), (30, ["Tab", "F2"]), (12, [])]
)
def test_what_does_not_fit_is_not_offered(width: int, keys: list[str]) -> None:
    offered = demo._offered(["understand", "and", "s" * 20], width)
    plain = re.sub(r"\x1b\[\d+m", "", offered)
    assert re.findall(r"Tab|F\d", plain) == keys
    assert len(plain) <= width


def test_more_keys_than_letters_saved_none() -> None:
    counted = {"letters": 10, "saved": -0.1, "latency_ms": {"p50": 1.0, "p99": 2.0}}
    assert "11 keys for 10 letters: none saved" in demo.described({"keys": 11, **counted})


@pytest.mark.parametrize(("line", "columns"), [("e\u0301t ", 3), ("\u4f60\u597d ", 5)])
def test_the_cursor_stands_behind_what_was_typed(
    folder: Path, tmp_path: Path, line: str, columns: int
) -> None:
    """An accent of its own takes no column, a Chinese letter takes two."""
    with typing(folder, tmp_path / "me.json") as (ours, _):
        read_until(ours, OFFERED)
        os.write(ours, line.encode())
        read_until(ours, f"\x1b[1A\r\x1b[{columns}C".encode())


def test_digits_are_typed_at_a_terminal(folder: Path, tmp_path: Path) -> None:
    with typing(folder, tmp_path / "me.json") as (ours, _):
        read_until(ours, OFFERED)
        os.write(ours, b"In 1999 the 23 of us\n")
        read_until(ours, b"\x1b[JIn 1999 the 23 of us\r\r\n\r")


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["ctrl-c", "ctrl-d"])
def test_the_end_tells_what_was_saved(folder: Path, tmp_path: Path, key: bytes) -> None:
    with typing(folder, tmp_path / "me.json") as (ours, process):
        read_until(ours, OFFERED)
        os.write(ours, b"Thank y\tfor \n")
        read_until(ours, b"Thank you for\r\r\n\r\x1b[J")
        os.write(ours, b"this ")
        read_until(ours, b"\x1b[5C")
        os.write(ours, key)
        screen = read_until(ours, b"\x1b[Jthis \r\r\n")
        assert process.stdout is not None
        said = process.stdout.read().decode()
        assert process.wait(PATIENCE_S) == 0
    assert said.startswith("18 keys for 18 letters: 0.0% saved; ")
    assert screen.endswith(b"\r\r\n")
    assert {"thank", "you", "for", "this"} == set(
        json.loads((tmp_path / "me.json").read_text())["words"]
    )


def test_what_stops_it_from_outside_ends_the_line_too(folder: Path, tmp_path: Path) -> None:
    with typing(folder, tmp_path / "me.json") as (ours, process):
        read_until(ours, OFFERED)
        os.write(ours, b"Thank ")
        read_until(ours, b"\x1b[6C")
        process.send_signal(signal.SIGTERM)
        screen = read_until(ours, b"Interrupted")
        assert process.wait(PATIENCE_S) == 130
    assert b"\x1b[JThank \r\r\n" in screen
    assert "thank" in json.loads((tmp_path / "me.json").read_text())["words"]


def test_a_damaged_personal_dictionary_is_refused_and_kept(edge: Edge, tmp_path: Path) -> None:
    mine, content = tmp_path / "me.json", '{"words":{"a":-20},"written":{},"pairs":{}}'
    mine.write_text(content)
    done = edge("demo", "text", "--no-network", "--after", "Dear ", "--personal", mine)
    assert done.code == 2
    assert str(mine) in done.err
    assert f"mv {mine} " in done.err
    assert mine.read_text() == content


def test_help_says_which_keys_take_a_suggestion(edge: Edge) -> None:
    said = " ".join(edge("demo", "text", "--help").out.split())
    assert "Tab, F2 and F3" in said
    assert "Ctrl-C" in said


def read_until(terminal: int, wanted: bytes) -> bytes:
    seen, until = b"", time.monotonic() + PATIENCE_S
    while wanted not in seen and time.monotonic() < until:
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 65536)
    assert wanted in seen, seen
    return seen


def test_the_example_suggests() -> None:
    command = [sys.executable, "-m", "examples.predictive_text.suggest", "Thank ", "xqzw"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("'Thank ' → you, ")


def test_the_page_s_program(folder: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "text.md").read_text(encoding="utf-8")
    mark = "<!-- executed by tests/e2e/test_demo_text.py -->"
    (program,) = re.findall(rf"{re.escape(mark)}\n```python\n(.*?)```", page, re.S)
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "'you'" in done.stdout
    assert "zebedee" in (tmp_path / "me.json").read_text()


def test_the_first_run_says_what_takes_so_long_and_nothing_else(tmp_path: Path) -> None:
    """Made anew, with an empty cache: TensorFlow's log stays off the terminal."""
    for name in ("alice", "textgenrnn"):
        home = asset(name)
        home = home if home.is_dir() else home.parent
        shutil.copytree(home, tmp_path / "assets" / name)
    cache = {"EDGELOOP_ASSETS": str(tmp_path / "assets"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "edge_sdk", "demo", "text", "--after", "Thank "]
    done = subprocess.run(
        command, env={**os.environ, **cache}, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("you  ")
    (line,) = done.stderr.splitlines()
    assert "once" in line
    assert "half a minute" in line
