"""Archives looked at before they are unpacked: a small file can claim to hold any amount.

``.keras`` and ``.npz`` are zips. What a member will unpack to stands in the zip's directory, and no
reader unpacks more than that; so the claims are read first, and weighed against the file.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from edge_sdk.errors import UsageError
from edge_sdk.text import bytes_text

HARMLESS_BYTES = 64_000_000
"""Whatever unpacks to no more than this is not looked at."""
GREATEST_RATIO = 100
"""Trained weights hardly pack at all, pictures of one colour up to a thousandfold; a bomb packs a
thousandfold too, so that only the larger ones are weighed."""


def check_archive(path: Path) -> None:
    """Make sure that a zip does not unpack to absurdly more than it is.

    Raises:
        UsageError: it does, or it is damaged; nothing of it was unpacked.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            claims = {member.filename: member.file_size for member in archive.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UsageError(
            f"{path} is not a whole zip archive: {error}", "Save or fetch the file again."
        ) from error
    total, size = sum(claims.values()), path.stat().st_size
    if total > HARMLESS_BYTES and total > GREATEST_RATIO * size:
        largest = max(claims, key=lambda name: claims[name])
        raise UsageError(
            f"{path} is an archive bomb: of its {bytes_text(size)} it claims to unpack "
            f"{bytes_text(total)}, most of it {largest}.",
            "Do not use it, unless you know why it is so: then save it again without compression.",
        )
