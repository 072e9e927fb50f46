"""The container: what goes in comes out, in one form, and any zip tool reads it."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.artifact import container
from edge_sdk.artifact.container import ALIGNMENT, Container, Content, write
from edge_sdk.errors import ArtifactError, UsageError
from edge_sdk.spec.contents import name_problem

PART = st.text("abcXYZ019_+@=%,. -", min_size=1, max_size=12).filter(lambda t: t not in (".", ".."))
NAMES = st.lists(PART, min_size=1, max_size=4).map("/".join)
CONTENTS = st.dictionaries(NAMES, st.binary(max_size=300), max_size=6)


def packed(contents: Mapping[str, Content]) -> bytes:
    file = io.BytesIO()
    write(file, contents)
    return file.getvalue()


@given(CONTENTS)
def test_round_trip(contents: dict[str, bytes]) -> None:
    data = packed(contents)
    archive = Container(data, "x")
    assert {name: archive.read(name) for name in archive} == contents
    assert [archive.size(name) for name in archive] == [len(c) for c in contents.values()]
    assert list(archive) == list(contents)
    assert packed(contents) == data
    archive.close()


@given(CONTENTS.filter(bool))
def test_every_zip_tool_reads_it(contents: dict[str, bytes]) -> None:
    data = packed(contents)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == contents
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.external_attr >> 16 == 0o100644


@given(CONTENTS)
def test_contents_are_aligned(contents: dict[str, bytes]) -> None:
    data = packed(contents)
    members, directory = container.lay_out(
        [(name, len(c), zlib.crc32(c)) for name, c in contents.items()]
    )
    for member in members:
        assert member.offset % ALIGNMENT == 0
        assert data[member.offset : member.offset + member.size] == contents[member.name]
    assert data.endswith(directory)


@pytest.mark.skipif(shutil.which("unzip") is None, reason="there is no unzip")
def test_unzip_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "x.edge"
    path.write_bytes(packed({"a/b.bin": bytes(range(256)) * 9, "empty": b"", "a b@c=%,d": b"1"}))
    tested = subprocess.run(["unzip", "-t", path], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "No errors detected" in tested.stdout
    assert not tested.stderr


def test_files_and_bytes_give_the_same(tmp_path: Path) -> None:
    """A file of several blocks, and one whose length is a whole number of them."""
    big = os.urandom(container._BLOCK_BYTES * 2)
    (tmp_path / "big").write_bytes(big + b"tail")
    (tmp_path / "even").write_bytes(big)
    (tmp_path / "empty").write_bytes(b"")
    from_files = packed({name: tmp_path / name for name in ("big", "even", "empty")})
    assert from_files == packed({"big": big + b"tail", "even": big, "empty": b""})
    path = tmp_path / "x.edge"
    path.write_bytes(from_files)
    archive = Container.open(path)
    assert archive.read("big") == big + b"tail"
    assert "even" in archive
    assert "odd" not in archive
    archive.close()


def test_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    program = (
        "import io, sys, hashlib; from edge_sdk.artifact.container import write; f = io.BytesIO(); "
        "write(f, {'b': b'1', 'a/c': b'', 'z': bytes(5000)}); "
        "print(hashlib.sha256(f.getvalue()).hexdigest())"
    )
    here = hashlib.sha256(packed({"b": b"1", "a/c": b"", "z": bytes(5000)})).hexdigest()
    environment = {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Tokyo",
    }
    there = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    assert there.stdout.strip() == here


def test_the_form_never_changes() -> None:
    """Old artifacts must stay readable: this digest is never to be edited."""
    digest = hashlib.sha256(packed({"manifest.json": b"{}\n", "variants/a/m.bin": b"\1\2"}))
    assert digest.hexdigest() == "d0e083ceff72dafa8061e889596f4e085a7e2ee1174094cef244d6b3e86ef68b"


@pytest.mark.parametrize(
    "name",
    ["../x", "..", ".", "a/../b", "a/./b", "/abs", "C:\\x", "a\\b", "a\0b", "a/", "a//b", "", "é",
     "a\n", "a:b", "~root", "x" * 1025, "\u212a", "a*", "|x", "$HOME", "a\x1b[2J"],
    ids=repr,
)  # fmt: skip
def test_names_that_are_refused(name: str) -> None:
    assert name_problem(name)
    with pytest.raises(UsageError, match="cannot be packed") as raised:
        packed({name: b""})
    assert raised.value.hint


@pytest.mark.parametrize("name", ["a", "...", "a..b", ".hidden", "a/b/c.bin", "-x", "x" * 1024])
def test_names_that_are_taken(name: str) -> None:
    assert list(Container(packed({name: b""}), "x")) == [name]


def test_too_many_members() -> None:
    most = {f"{number}": b"" for number in range(container.MAX_MEMBERS)}
    assert len(list(Container(packed(most), "x"))) == container.MAX_MEMBERS
    with pytest.raises(UsageError, match="4097 files are too many") as raised:
        packed({**most, "x": b""})
    assert "--formats" in raised.value.hint


def test_too_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far over four gigabytes, and just over a limit that can be reached."""
    measured = [("huge", 5 << 30)]
    monkeypatch.setattr(container, "_measure", lambda content: (measured[0][1], 0))
    with pytest.raises(UsageError, match="too big"):
        packed({"huge": b""})
    monkeypatch.undo()
    monkeypatch.setattr(container, "MAX_BYTES", 100)
    packed({"a": bytes(60), "b": bytes(40)})
    with pytest.raises(UsageError, match="too big"):
        packed({"a": bytes(60), "b": bytes(41)})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match=rf"{path.name} cannot be read"):
            packed({"a": path})


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"before")

    class Meddler(io.BytesIO):
        def write(self, data: object) -> int:
            path.write_bytes(b"after!")
            return super().write(data)  # type: ignore[arg-type]

    with pytest.raises(UsageError, match="model changed while it was packed"):
        write(Meddler(), {"model": path})


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.edge cannot be opened: No such file"):
        Container.open(tmp_path / "none.edge")
    with pytest.raises(UsageError, match="is not a file"):
        Container.open(tmp_path)
    with pytest.raises(UsageError, match="cannot be opened: File name too long"):
        Container.open(tmp_path / ("x" * 300))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be opened: Not a directory"):
        Container.open(tmp_path / "file" / "x.edge")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="pipe is not a file"):
        Container.open(tmp_path / "pipe")
    with pytest.raises(ArtifactError, match="file is empty"):
        Container.open(tmp_path / "file")


def test_a_file_cut_short_while_open(tmp_path: Path) -> None:
    """A memory mapping would end the process with SIGBUS here."""
    path = tmp_path / "x.edge"
    path.write_bytes(packed({"a": bytes(1 << 16), "b": b"b"}))
    archive = Container.open(path)
    os.truncate(path, 4096)
    with pytest.raises(ArtifactError, match="a is corrupt"):
        archive.read("a")
    with pytest.raises(ArtifactError, match="b is corrupt"):
        archive.read("b")
    archive.close()


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_at_all(data: bytes) -> None:
    with pytest.raises(ArtifactError):
        Container(data, "x")
