"""Zips that are not ours: every trick known of the format is an ArtifactError and costs nothing."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.artifact import container
from edge_sdk.artifact.container import Container, write
from edge_sdk.errors import ArtifactError

LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
END = struct.Struct("<4sHHHHIIH")
CONTENTS = {"manifest.json": b"{}\n", "variants/a/model.bin": bytes(range(200)), "z": b""}


def packed(contents: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    write(file, contents)
    return file.getvalue()


def forge(
    contents: Mapping[str, bytes] | list[tuple[str, bytes]] = CONTENTS,
    *,
    local: Mapping[str, Any] | None = None,
    central: Mapping[str, Any] | None = None,
    end: Mapping[str, Any] | None = None,
    extra: bytes = b"",
    entry_extra: bytes = b"",
    comment: bytes = b"",
) -> bytes:
    """Our form, written by hand, with other values in the first member's fields."""
    items = list(contents.items()) if isinstance(contents, Mapping) else contents
    body, directory = b"", b""
    for number, (name, content) in enumerate(items):
        first = number == 0
        encoded = name.encode("utf-8", "surrogateescape")
        offset = len(body)
        start = offset + LOCAL.size + len(encoded) + 4
        padding = struct.pack("<HH", 0xD935, -start % 64) + bytes(-start % 64)
        fields: dict[str, Any] = {
            "version": 20, "flags": 1 << 11, "method": 0, "time": 0, "date": 33,
            "crc": zlib.crc32(content), "packed": len(content), "size": len(content),
            "name": len(encoded), "extra": len(padding) + len(extra if first else b""),
        }  # fmt: skip
        here = {**fields, **((local or {}) if first else {})}
        body += LOCAL.pack(b"PK\3\4", *here.values()) + encoded + padding
        body += (extra if first else b"") + content
        fields = {
            "made": (3 << 8) | 20, **fields, "extra": len(entry_extra if first else b""),
            "comment": 0, "disk": 0, "internal": 0, "attributes": 0o100644 << 16, "offset": offset,
        }  # fmt: skip
        here = {**fields, **((central or {}) if first else {})}
        directory += CENTRAL.pack(b"PK\1\2", *here.values()) + encoded
        directory += entry_extra if first else b""
    tail = {
        "disk": 0, "start_disk": 0, "here": len(items), "count": len(items),
        "length": len(directory), "start": len(body), "comment": len(comment), **(end or {}),
    }  # fmt: skip
    return body + directory + END.pack(b"PK\5\6", *tail.values()) + comment


def test_the_forger_knows_our_form() -> None:
    """Otherwise what follows would be refused for the wrong reason."""
    assert forge() == packed(CONTENTS)


@contextmanager
def little_memory(most: int = 1 << 20) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def refuse(data: bytes, path: Path) -> str:
    """Both as bytes and as a file; answers the message."""
    path.write_bytes(data)
    with little_memory(), pytest.raises(ArtifactError):
        Container(data, "x")
    with little_memory(), pytest.raises(ArtifactError) as raised:
        Container.open(path)
    assert str(path) in raised.value.message
    assert raised.value.hint
    return raised.value.message


def both(**fields: Any) -> bytes:
    return forge(local=fields, central=fields)


FORGED: dict[str, Callable[[], bytes]] = {
    "encrypted": lambda: both(flags=(1 << 11) | 1),
    "strongly encrypted": lambda: both(flags=(1 << 11) | (1 << 6) | 1),
    "sizes behind the content": lambda: both(flags=(1 << 11) | (1 << 3)),
    "not utf-8": lambda: both(flags=0),
    "deflated": lambda: both(method=8),
    "bzip2": lambda: both(method=12),
    "newer format": lambda: both(version=63),
    "another time": lambda: both(time=1),
    "another date": lambda: both(date=34),
    "packed smaller than it is": lambda: both(packed=1),
    "packed size in one place only": lambda: forge(local={"packed": 1}),
    "larger than it is": lambda: both(size=4, packed=4),
    "huge": lambda: both(size=0xFFFFFFFF, packed=0xFFFFFFFF),
    "zip64 sizes": lambda: forge(
        local={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF},
        central={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF},
        extra=struct.pack("<HHQQ", 1, 16, 3, 3),
        entry_extra=struct.pack("<HHQQ", 1, 16, 3, 3),
    ),
    "another crc in the directory": lambda: forge(central={"crc": 1}),
    "another crc in the header": lambda: forge(local={"crc": 1}),
    "a symbolic link": lambda: forge(central={"attributes": 0o120777 << 16}),
    "a folder": lambda: forge(central={"attributes": (0o40755 << 16) | 0x10}),
    "a device": lambda: forge(central={"attributes": 0o20666 << 16}),
    "setuid": lambda: forge(central={"attributes": 0o104755 << 16}),
    "made on DOS": lambda: forge(central={"made": 20}),
    "on another disk": lambda: forge(central={"disk": 1}),
    "text": lambda: forge(central={"internal": 1}),
    "a comment on a member": lambda: forge(central={"comment": 3}, entry_extra=b"hey"),
    "an extra field": lambda: forge(extra=struct.pack("<HH", 0x5455, 0)),
    "an extra field in the directory": lambda: forge(entry_extra=struct.pack("<HH", 0x5455, 0)),
    "a member inside another": lambda: forge(central={"offset": 64}),
    "all members in one place": lambda: forge({"a": b"1", "b": b"1"}, central={"offset": 65}),
    "a shorter name": lambda: both(name=5),
    "a name beyond the end": lambda: both(name=0xFFFF),
    "an archive's comment": lambda: forge(comment=b"hello"),
    "a comment that is an archive": lambda: forge(comment=forge()),
    "fewer members than there are": lambda: forge(end={"count": 2, "here": 2}),
    "more members than there are": lambda: forge(end={"count": 4, "here": 4}),
    "65,535 members": lambda: forge(end={"count": 0xFFFF, "here": 0xFFFF}),
    "two counts": lambda: forge(end={"here": 2}),
    "no members": lambda: forge(end={"count": 0, "here": 0}),
    "several disks": lambda: forge(end={"disk": 1, "start_disk": 1}),
    "a directory that starts earlier": lambda: forge(end={"start": 0}),
    "a directory that is all": lambda: forge(end={"start": 0, "length": len(forge()) - END.size}),
    "zip64 ends": lambda: forge(end={"start": 0xFFFFFFFF, "length": 0xFFFFFFFF, "count": 0xFFFF}),
    "the same name twice": lambda: forge([("a", b"1"), ("a", b"2")]),
    "prefixed": lambda: b"#!/bin/sh\n" + forge(),
    "prefixed, offsets mended": lambda: b"\0" * 64 + forge(end={"start": len(forge()) + 64}),
    "followed by a byte": lambda: forge() + b"\0",
    "followed by itself": lambda: forge() * 2,
    "an end record alone": lambda: END.pack(b"PK\5\6", 0, 0, 1, 1, 0, 0, 0),
    "spaces": lambda: b" " * 100,
    "only magic": lambda: b"PK\5\6" + bytes(18) + b"PK\5\6",
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("trick", FORGED)
def test_forged(trick: str, tmp_path: Path) -> None:
    message = refuse(FORGED[trick](), tmp_path / "x.edge")
    if trick == "the same name twice":
        assert message.endswith("holds 'a' twice.")


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "C:\\x", "a\\b", "a\0b", "folder/", "a//b", "", ".", "..",
     "./a", "é", "a\r\nb", "\x1b[2J", "x" * 1025, "x" * 0xFFFF, "caf\udce9"],
    ids=lambda name: repr(name)[:30],
)  # fmt: skip
def test_names(name: str, tmp_path: Path) -> None:
    message = refuse(forge({name: b"1"}), tmp_path / "x.edge")
    assert "holds the file" in message or len(name) > 5000
    assert message.isprintable()


def zipped(fill: Callable[[zipfile.ZipFile], object], **options: Any) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", **options) as archive:
        warnings.simplefilter("ignore", UserWarning)  # that a name is there twice
        fill(archive)
    return file.getvalue()


def link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("manifest.json")
    entry.create_system = 3
    entry.external_attr = 0o120777 << 16
    archive.writestr(entry, "/etc/passwd")


def streamed() -> bytes:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.written += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        archive.writestr("manifest.json", "{}")
    return pipe.written


def large(archive: zipfile.ZipFile) -> None:
    with archive.open("manifest.json", "w", force_zip64=True) as member:
        member.write(b"{}")


ORDINARY: dict[str, Callable[[], bytes]] = {
    "stored": lambda: zipped(lambda z: z.writestr("manifest.json", "{}")),
    "a bomb": lambda: zipped(
        lambda z: z.writestr("manifest.json", bytes(10_000_000)), compression=zipfile.ZIP_DEFLATED
    ),
    "lzma": lambda: zipped(
        lambda z: z.writestr("manifest.json", bytes(9999)), compression=zipfile.ZIP_LZMA
    ),
    "twice": lambda: zipped(lambda z: [z.writestr("manifest.json", text) for text in ("a", "b")]),
    "a symbolic link": lambda: zipped(link),
    "zip64": lambda: zipped(large),
    "streamed": streamed,
    "a folder": lambda: zipped(lambda z: z.writestr("variants/", b"")),
    "empty": lambda: zipped(lambda z: None),
}


@pytest.mark.parametrize("kind", [kind for kind in ORDINARY if kind != "empty"])
def test_ordinary_zips(kind: str, tmp_path: Path) -> None:
    refuse(ORDINARY[kind](), tmp_path / "photos.zip")


def test_an_empty_zip_is_an_archive_of_nothing() -> None:
    """Its bytes are what we would write, too; an artifact it is not, see test_artifact.py."""
    assert ORDINARY["empty"]() == packed({})
    assert list(Container(packed({}), "x")) == []


def sparse(path: Path, size: int, tail: bytes) -> Path:
    path.touch()
    os.truncate(path, size - len(tail))
    with path.open("ab") as file:
        file.write(tail)
    return path


@pytest.mark.parametrize("size", [100 << 20, (4 << 30) - 1, (4 << 30) + (1 << 20)])
def test_large_files_that_claim_much_cost_little(size: int, tmp_path: Path) -> None:
    """Sizes are believed only as far as the file reaches, the directory as far as one may."""

    def entry(length: int, offset: int = 0) -> bytes:
        sizes = (0, length, length, 1, 0, 0, 0, 0, 0o100644 << 16, offset)
        return CENTRAL.pack(b"PK\1\2", 788, 20, 1 << 11, 0, 0, 33, *sizes)

    start = size - END.size
    halves = entry((2 << 30) - 128) + b"a" + entry(2 << 30) + b"b"
    claims = {
        "everything is directory": END.pack(b"PK\5\6", 0, 0, 1, 1, start & 0xFFFFFFFF, 0, 0),
        "much directory": END.pack(
            b"PK\5\6", 0, 0, 1, 1, 50 << 20, (start - (50 << 20)) & 0xFFFFFFFF, 0
        ),
        "an empty member": entry(0) + b"a" + END.pack(
            b"PK\5\6", 0, 0, 1, 1, 47, (start - 47) & 0xFFFFFFFF, 0
        ),
        "two members of all": halves + END.pack(
            b"PK\5\6", 0, 0, 2, 2, len(halves), (start - len(halves)) & 0xFFFFFFFF, 0
        ),
        "no member": END.pack(b"PK\5\6", 0, 0, 0, 0, 0, start & 0xFFFFFFFF, 0),
    }  # fmt: skip
    for claim, tail in claims.items():
        path = sparse(tmp_path / "x.edge", size, tail)
        with little_memory(), pytest.raises(ArtifactError, match=r"x\.edge"):
            Container.open(path)
        path.unlink()
        assert claim


def test_many_members_that_each_claim_the_whole_file(tmp_path: Path) -> None:
    """Their offsets would add up to terabytes, which no zip can write."""
    names = [f"{number:04}" for number in range(container.MAX_MEMBERS)]
    size = 2 << 20
    entries = b"".join(
        CENTRAL.pack(
            b"PK\1\2", 788, 20, 1 << 11, 0, 0, 33, 0, size, size, 4, 0, 0, 0, 0, 0o100644 << 16, 0
        )
        + name.encode()
        for name in names
    )
    end = END.pack(b"PK\5\6", 0, 0, len(names), len(names), len(entries), size, 0)
    path = tmp_path / "x.edge"
    path.write_bytes(bytes(size) + entries + end)
    with little_memory(4 << 20), pytest.raises(ArtifactError):
        Container.open(path)


GOOD = forge()
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "delete", "copy"]),
        st.integers(0, len(GOOD)),
        st.binary(min_size=1, max_size=6),
        st.integers(0, len(GOOD)),
    ),
    min_size=1,
    max_size=4,
)


def edited(data: bytes, edits: list[tuple[str, int, bytes, int]]) -> bytes:
    for kind, at, new, other in edits:
        if kind == "set":
            data = data[:at] + new + data[at + len(new) :]
        elif kind == "insert":
            data = data[:at] + new + data[at:]
        elif kind == "delete":
            data = data[:at] + data[at + len(new) :]
        else:
            data = data[:at] + data[other : other + 32] + data[at:]
    return data


@settings(max_examples=600)
@given(EDITS)
def test_random_edits(edits: list[tuple[str, int, bytes, int]]) -> None:
    """What opens and reads is, to the byte, what we would write of it."""
    data = edited(GOOD, edits)
    try:
        archive = Container(data, "x")
        contents = {name: archive.read(name) for name in archive}
    except ArtifactError:
        assert data != GOOD
    else:
        assert packed(contents) == data
