"""The ``.edge`` file: a zip in one canonical form, written and read by these few lines.

Any zip tool opens it; we accept only the form we write. Members are stored, not compressed, in a
fixed order, with fixed times and attributes, their bytes aligned to 64 so that a model can be
mapped where it lies. So packing the same contents gives the same bytes on every machine and under
every Python, and reading needs no defence against duplicate names, overlapping or encrypted
members, prefixed data, comments, symlinks or compression bombs: after reading the directory we lay
the archive out again and compare every byte that is not a member's content. Contents are covered by
the directory's CRCs here, and by the manifest's SHA-256 above. Nothing a file claims is believed
before it is bounded, so opening one costs no more memory than ``MAX_DIRECTORY_BYTES``.

Format: APPNOTE.TXT 6.3.10, §4.3.7 (local header), §4.3.12 (directory), §4.3.16 (end record).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_sdk.errors import ArtifactError, UsageError
from edge_sdk.files import FileBytes
from edge_sdk.spec.contents import MAX_NAME_BYTES, name_problem

ALIGNMENT = 64
MAX_BYTES = (1 << 32) - (1 << 24)
"""Zip without its 64-bit extension; a model beyond it does not fit a small machine either."""
MAX_MEMBERS = 4096

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
MAX_DIRECTORY_BYTES = MAX_MEMBERS * (_CENTRAL.size + MAX_NAME_BYTES)
_PADDING_ID = 0xD935  # zipalign's, which zip tools know to skip
_DATE_1980_01_01 = (1 << 5) | 1
_VERSION, _UTF8, _STORED = 20, 1 << 11, 0
_UNIX, _REGULAR_0644 = 3 << 8, 0o100644 << 16
_BLOCK_BYTES = 1 << 20

Content = bytes | Path


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the archive: where its bytes are and what they must add up to."""

    name: str
    size: int
    crc: int
    header_offset: int

    @property
    def header(self) -> bytes:
        """Its local header, padded so that the content begins on an aligned byte."""
        name = self.name.encode()
        bare = self.header_offset + _LOCAL.size + len(name)
        pad = -(bare + 4) % ALIGNMENT
        extra = struct.pack("<HH", _PADDING_ID, pad) + b"\0" * pad
        fields = (_VERSION, _UTF8, _STORED, 0, _DATE_1980_01_01, self.crc, self.size, self.size)
        return _LOCAL.pack(b"PK\3\4", *fields, len(name), len(extra)) + name + extra

    @property
    def offset(self) -> int:
        """Where its content begins."""
        return self.header_offset + len(self.header)

    @property
    def entry(self) -> bytes:
        """Its line in the central directory."""
        name = self.name.encode()
        fields = (_UNIX | _VERSION, _VERSION, _UTF8, _STORED, 0, _DATE_1980_01_01)
        sizes = (self.crc, self.size, self.size, len(name), 0, 0, 0, 0, _REGULAR_0644)
        return _CENTRAL.pack(b"PK\1\2", *fields, *sizes, self.header_offset) + name


def lay_out(contents: Iterable[tuple[str, int, int]]) -> tuple[tuple[Member, ...], bytes]:
    """The one way to arrange (name, size, crc) triples: members, and the directory's bytes."""
    members, offset = [], 0
    for name, size, crc in contents:
        member = Member(name, size, crc, offset)
        members.append(member)
        offset = member.offset + size
    entries = b"".join(member.entry for member in members)
    end = _END.pack(b"PK\5\6", 0, 0, len(members), len(members), len(entries), offset, 0)
    return tuple(members), entries + end


def write(file: BinaryIO, contents: Mapping[str, Content]) -> None:
    """Write the archive of ``contents``, in the mapping's order.

    Raises:
        UsageError: a name that may not be in an artifact, more than ``MAX_BYTES`` or
            ``MAX_MEMBERS``, or a file that cannot be read or changes meanwhile.
    """
    for name in contents:
        if problem := name_problem(name):
            raise UsageError(f"{name!r} cannot be packed: {problem}.", "Rename it and try again.")
    fewer = "Choose fewer variants: --formats tflite --recipe int8"
    if len(contents) > MAX_MEMBERS:
        raise UsageError(
            f"{len(contents)} files are too many for one artifact ({MAX_MEMBERS} at most).", fewer
        )
    measured = [(name, *_measure(content)) for name, content in contents.items()]
    if sum(size for _, size, _ in measured) > MAX_BYTES:
        raise UsageError("The contents are too big for one artifact (4 GB at most).", fewer)
    members, directory = lay_out(measured)
    for member in members:
        file.write(member.header)
        crc = 0
        for block in blocks(contents[member.name]):
            file.write(block)
            crc = zlib.crc32(block, crc)
        if crc != member.crc:
            raise UsageError(f"{member.name} changed while it was packed.", "Try again.")
    file.write(directory)


class Container:
    """An archive opened for reading, its layout already checked; contents on demand.

    Args:
        buffer, where: its bytes, and what to call them in errors.
        first: a member without which it is some other program's zip, and not a corrupt one of ours.

    Raises (on construction):
        ArtifactError: it is not an archive in canonical form.
    """

    def __init__(self, buffer: bytes | FileBytes, where: str, first: str | None = None) -> None:
        self._buffer = buffer
        self._where = where
        contents = _read_directory(buffer, where)
        if first is not None and first not in (name for name, _, _ in contents):
            raise ArtifactError(
                f"{where} has no {first}: it is a zip, but no artifact.",
                "Name an .edge file; of a model one is made by: edge convert",
            )
        members, directory = lay_out(contents)
        for member in members:
            found = buffer[member.header_offset : member.offset]
            if found != member.header:
                raise self._corrupt(member.name, "its header is not as edgeloop writes it")
        end = members[-1].offset + members[-1].size if members else 0
        if len(buffer) != end + len(directory) or buffer[end:] != directory:
            raise ArtifactError(f"{where}: the directory at its end is corrupt.")
        self._members = {member.name: member for member in members}

    @classmethod
    def open(cls, path: Path, first: str | None = None) -> Container:
        """Open ``path`` and check its layout. ``first``: see the class.

        Raises:
            UsageError: there is no such file.
            ArtifactError: it is not an artifact, or it was cut short or altered.
            UnavailableError: the disk does not give its bytes.
        """
        try:
            if path.exists() and not path.is_file():
                raise UsageError(f"{path} is not a file.", "Name an .edge file.")
            buffer = FileBytes(path)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be opened: {error.strerror}.", "Check the path."
            ) from error
        try:
            return cls(buffer, str(path), first)
        except BaseException:
            buffer.close()
            raise

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        """Bytes of one member."""
        return self._members[name].size

    def read(self, name: str) -> bytes:
        """The bytes of one member. Raises ArtifactError if they do not match their CRC."""
        member = self._members[name]
        data = self._buffer[member.offset : member.offset + member.size]
        if zlib.crc32(data) != member.crc:
            raise self._corrupt(name, "its bytes do not match their checksum")
        return data

    def close(self) -> None:
        """Close the file."""
        if isinstance(self._buffer, FileBytes):
            self._buffer.close()

    def _corrupt(self, name: str, why: str) -> ArtifactError:
        return ArtifactError(f"{self._where}: {name} is corrupt: {why}.")


def _read_directory(buffer: bytes | FileBytes, where: str) -> list[tuple[str, int, int]]:
    """What the central directory lists: (name, size, crc). All else it says is recomputed."""
    if not len(buffer):
        raise ArtifactError(f"{where} is empty.")
    broken = ArtifactError(f"{where} is not an edgeloop archive, or it was cut short.")
    tail = len(buffer) - _END.size
    if tail < 0:
        raise broken
    magic, _, _, _, count, length, start, _ = _END.unpack(buffer[tail:])
    if (
        magic != b"PK\5\6"
        or start + length != tail
        or count > MAX_MEMBERS
        or length > MAX_DIRECTORY_BYTES
    ):
        raise broken
    entries, position, left = buffer[start:tail], 0, min(len(buffer), MAX_BYTES)
    contents: dict[str, tuple[str, int, int]] = {}
    for _ in range(count):
        if position + _CENTRAL.size > length:
            raise broken
        fields = _CENTRAL.unpack_from(entries, position)
        crc, size, name_length = fields[7], fields[9], fields[10]
        position += _CENTRAL.size
        name = entries[position : position + name_length].decode("ascii", errors="replace")
        position += name_length
        if problem := name_problem(name):
            raise ArtifactError(f"{where} holds the file {name!r}: {problem}.")
        if name in contents:
            raise ArtifactError(f"{where} holds {name!r} twice.")
        left -= size
        if left < 0:
            raise broken
        contents[name] = (name, size, crc)
    return list(contents.values())


def _measure(content: Content) -> tuple[int, int]:
    """Size and CRC-32."""
    size = crc = 0
    for block in blocks(content):
        size += len(block)
        crc = zlib.crc32(block, crc)
    return size, crc


def blocks(content: Content) -> Iterator[bytes]:
    """The bytes of a content, a part at a time. Raises UsageError if its file cannot be read."""
    if isinstance(content, bytes):
        yield content
        return
    try:
        with content.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
    except OSError as error:
        raise UsageError(
            f"{content} cannot be read: {error.strerror}.", "Check the path."
        ) from error
