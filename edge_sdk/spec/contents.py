"""What files an artifact may have and which of them belong to what: rules over names, no files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from edge_sdk.spec.manifest import Manifest, Variant
from edge_sdk.spec.tensor import Signature

SUFFIX = ".edge"
"""Of an artifact's file."""
MANIFEST = "manifest.json"
GOLDEN = "golden.npz"
BASELINE = "baseline.json"
REPORTS = ("report.html", "report.json")
"""An artifact's account for people. It holds times, so it may stay outside of what the manifest
lists, and with it outside of the digest, of signatures, and of what devices fetch."""
MAX_NAME_BYTES = 1024

_NAME = re.compile(r"[A-Za-z0-9_+@=%,. -]+(/[A-Za-z0-9_+@=%,. -]+)*")


def name_problem(name: str) -> str:
    """Why a file of an artifact may not have this name; empty if it may."""
    if not _NAME.fullmatch(name):
        return "only letters, digits and _+@=%,. - are allowed, in relative paths with /"
    if any(part in (".", "..") for part in name.split("/")):
        return "a path may not leave the artifact"
    if len(name) > MAX_NAME_BYTES:
        return f"a path has {MAX_NAME_BYTES} characters at most"
    return ""


def variant_files(manifest: Manifest, variant: Variant) -> tuple[str, ...]:
    """The files of one variant: its model file, or all below its package."""
    return tuple(
        name
        for name in manifest.files
        if name == variant.path or name.startswith(f"{variant.path}/")
    )


def device_files(manifest: Manifest, variant: Variant) -> tuple[str, ...]:
    """What a device needs beside the manifest: proof, baseline and its one variant."""
    proof = tuple(name for name in (GOLDEN, BASELINE) if name in manifest.files)
    return (*proof, *variant_files(manifest, variant))


def contradictions(manifest: Manifest, present: set[str]) -> Iterator[str]:
    """What a manifest says that its archive, or the manifest itself, gives the lie to.

    Args:
        manifest: read or about to be written.
        present: the files beside it in the archive.
    """
    listed = set(manifest.files)
    present = present - (set(REPORTS) - listed)
    for name in sorted(listed - present):
        yield f"lacks {name}, which its manifest lists"
    for name in sorted(present - listed):
        yield f"holds {name}, which its manifest does not list"
    names = Counter(name.casefold() for name in (*listed, MANIFEST))
    folders = {str(folder).casefold() for name in listed for folder in PurePosixPath(name).parents}
    for name, count in sorted(names.items()):
        if count > 1 or name in folders:  # one would overwrite the other, on some disks or on all
            yield f"holds {name} twice, as a folder or in other letters"
    for variant_id, count in Counter(v.id for v in manifest.variants).items():
        if count > 1:
            yield f"describes the variant {variant_id} {count} times"
    for variant in manifest.variants:
        if not variant_files(manifest, variant):
            yield f"has no files for the variant {variant.id}"
        elif variant.format != "coreml" and variant.path not in listed:
            yield f"has a folder where the variant {variant.id} has its model file"
        if _names(variant.signature) != _names(manifest.signature):
            yield f"has other inputs or outputs in the variant {variant.id} than in its signature"


def _names(signature: Signature) -> tuple[list[str], list[str]]:
    return sorted(t.name for t in signature.inputs), sorted(t.name for t in signature.outputs)
