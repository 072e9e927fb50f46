"""One byte changed anywhere: no use of the artifact goes on, and the message names the file."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from artifact_samples import contents, manifest, write

from edge_sdk.artifact import MANIFEST, Artifact, container
from edge_sdk.errors import ArtifactError
from edge_sdk.spec import encode

MASKS = (0x01, 0x20, 0x80, 0xFF)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "scale-1.2.0.edge")


def owners() -> Iterator[str]:
    """Whose each byte is, up to the directory."""
    files = contents()
    every = {MANIFEST: encode(manifest(files)), **dict(sorted(files.items()))}
    members, directory = container.lay_out(
        [(name, len(data), zlib.crc32(data)) for name, data in every.items()]
    )
    for member in members:
        yield from [member.name] * (len(member.header) + member.size)
    yield from [""] * len(directory)


def check(path: Path) -> str:
    """The complaint about the artifact; empty if there is none."""
    try:
        with Artifact(path) as artifact:
            list(artifact.verify_digests())
    except ArtifactError as error:
        return error.message
    return ""


def test_every_byte_by_every_mask(path: Path) -> None:
    data = path.read_bytes()
    owner = list(owners())
    assert len(owner) == len(data)
    assert check(path) == ""
    with path.open("r+b", buffering=0) as file:
        for at, byte in enumerate(data):
            for mask in MASKS:
                file.seek(at)
                file.write(bytes([byte ^ mask]))
                complaint = check(path)
                assert str(path) in complaint, f"byte {at} of {owner[at] or 'the directory'}"
                assert owner[at] in complaint.removeprefix(str(path)), f"byte {at}: {complaint}"
            file.seek(at)
            file.write(bytes([byte]))
    assert check(path) == ""


def test_bytes_added_or_lost(path: Path) -> None:
    data = path.read_bytes()
    places = range(0, len(data), 41)
    for changed in (
        data + b"\0",
        b"\0" + data,
        data + data,
        data[1:],
        *(data[:at] + b"\0" + data[at:] for at in places),
        *(data[:at] + data[at + 1 :] for at in places),
    ):
        path.write_bytes(changed)
        assert str(path) in check(path)
