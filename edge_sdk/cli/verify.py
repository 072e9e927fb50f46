"""``edge verify``: is this artifact whole, and does it answer rightly on this machine?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Literal

from edge_sdk.cli.command import Outcome
from edge_sdk.errors import ArtifactError
from edge_sdk.spec import GoldenCheck, Word
from edge_sdk.text import bytes_text, printable

SUMMARY = "check an artifact's digests and its golden vectors on this machine"


class Verification(Word, frozen=True, kw_only=True):
    """What ``edge verify --json`` prints.

    Attributes:
        files: how many had the right digest (all of them, or an error would have been raised).
        trust: ``unsigned``: no chain of trust was checked.
        golden: one entry per variant; empty if the artifact carries no golden vectors.
        passed: whether no variant failed.
    """

    path: str
    digest: str
    files: int
    trust: Literal["unsigned"]
    golden: tuple[GoldenCheck, ...]
    passed: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge verify``."""
    parser.add_argument("artifact", type=Path, metavar="X.edge")


def run(args: argparse.Namespace) -> Outcome:
    """Check digests, then run every variant that an engine here can run."""
    from edge_sdk.artifact import MANIFEST, Artifact
    from edge_sdk.runtime.selfcheck import check, unproven

    with Artifact(args.artifact) as artifact:
        files = [MANIFEST, *artifact.verify_digests()]
        size = sum(entry.size for entry in artifact.manifest.files.values())
        lines = [f"digests   {len(files)} files, {bytes_text(size)}: all as the manifest says"]
        golden = artifact.golden()
        checks = []
        if golden is None:
            lines.append("golden    none inside: nothing was run")
        else:
            if problem := unproven(artifact.manifest.signature, golden):
                raise ArtifactError(f"{artifact.path}: {problem}.")
            for variant in artifact.manifest.variants:
                print(f"running {variant.id} …", file=sys.stderr)
                checks.append(check(artifact, golden, variant))
            lines += [_line(c, len(golden)) for c in checks]
        verification = Verification(
            path=printable(str(artifact.path)),
            digest=artifact.digest,
            files=len(files),
            trust="unsigned",
            golden=tuple(checks),
            passed=all(c.status != "failed" for c in checks),
        )
    lines += ["trust     unsigned", f"verdict   {_verdict(verification)}"]
    return Outcome(verification, "\n".join(lines), 0 if verification.passed else 1)


def _line(found: GoldenCheck, samples: int) -> str:
    if found.status == "skipped":
        hint = f"\n          {printable(found.hint)}" if found.hint else ""
        return f"golden    {found.variant}: not run here: {printable(found.reason)}{hint}"
    if not found.differences:
        return f"golden    {found.variant}: WRONG: {printable(found.reason)}"
    gaps = ", ".join(
        f"{printable(name)} is not finite or not of its shape"
        if gap is None
        else f"{printable(name)} differs by {gap:.3g} at most (allowed {found.tolerance[name]:.3g})"
        for name, gap in found.differences.items()
    )
    word = "right" if found.status == "passed" else "WRONG"
    return f"golden    {found.variant}: {word} on {samples} samples, {found.backend}: {gaps}"


def _verdict(verification: Verification) -> str:
    if not verification.passed:
        return "FAILED: a variant does not answer here as the original did"
    run = sum(1 for c in verification.golden if c.status == "passed")
    if not run:
        return "whole; no answer was checked"
    return f"whole, and {run} of {len(verification.golden)} variants proven on this machine"
