"""Whether a picture's bytes are whole: looked at before a decoder that would not say so well.

OpenCV 4 fills what a JPEG lacks with gray, in silence; libpng prints what it finds wrong to stderr
from C, which can be kept off a terminal only by taking that of the whole process away.

Sources: ITU-T T.81 (JPEG), W3C PNG, third edition.
"""

from __future__ import annotations

import struct
import zlib

_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", 0xDA, b"\xff\xd9"
_PNG = b"\x89PNG\r\n\x1a\n"
_ANCILLARY = 0x20
"""The bit of a chunk's first letter that says that a picture can be shown without it."""
_PROFILE = b"iCCP"


def decodable(data: bytes) -> bytes | None:
    """What the decoder is to be given; None if the picture is cut off or damaged."""
    if data.startswith(_PNG):
        return _whole_png(data)
    return None if _is_cut_jpeg(data) else data


def _is_cut_jpeg(data: bytes) -> bool:
    """Whether this is a JPEG without an end.

    The end is looked for behind the headers, which may hold a whole small JPEG of their own.
    """
    if not data.startswith(_JPEG_START):
        return False
    at = len(_JPEG_START)
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _JPEG_SCAN:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return _JPEG_END not in data[at:]


def _whole_png(data: bytes) -> bytes | None:
    """The chunks up to the end, less the colour profile.

    OpenCV takes no notice of profiles, but libpng has something to say about many of them.
    """
    view, at = memoryview(data), len(_PNG)
    kept = [view[:at]]
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            return None
        if not kind[0] & _ANCILLARY:
            (sum_,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(view[at + 4 : end - 4]) != sum_:
                return None
        if kind != _PROFILE:
            kept.append(view[at:end])
        at = end
        if kind == b"IEND":
            return b"".join(kept)
    return None
