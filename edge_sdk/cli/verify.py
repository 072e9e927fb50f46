"""``edge verify``: is this artifact whole, whose is it, and does it answer rightly here?"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge_sdk.cli.command import Outcome
from edge_sdk.errors import ArtifactError, UnavailableError
from edge_sdk.spec import GoldenCheck, Word
from edge_sdk.text import bytes_text, printable
from edge_sdk.trust.proof import TrustProof

if TYPE_CHECKING:
    from edge_sdk.artifact import Artifact

SUMMARY = "check an artifact's digests, its signatures and its golden vectors on this machine"


class Verification(Word, frozen=True, kw_only=True):
    """What ``edge verify --json`` prints.

    Attributes:
        files: how many had the right digest (all of them, or an error would have been raised).
        trust: ``trusted``: the chain of signatures holds, down to every file; ``unsigned``: it was
            not asked for (``--trust``). Where it does not hold, an error is raised instead.
        proof: what the trust rests on; None if unsigned.
        golden: one entry per variant; empty if the artifact carries no golden vectors.
        passed: whether no variant failed.
    """

    path: str
    digest: str
    files: int
    trust: Literal["trusted", "unsigned"]
    golden: tuple[GoldenCheck, ...]
    passed: bool
    proof: TrustProof | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge verify``."""
    parser.add_argument("artifact", type=Path, metavar="X.edge")
    parser.add_argument(
        "--trust",
        type=Path,
        metavar="DIR",
        help="a copy of a fleet's trust/public folder: check that this fleet published it",
    )


def run(args: argparse.Namespace) -> Outcome:
    """Check digests and signatures, then run every variant that an engine here can run."""
    from edge_sdk.artifact import MANIFEST, Artifact
    from edge_sdk.runtime.selfcheck import check, unproven

    with Artifact(args.artifact) as artifact:
        files = [MANIFEST, *artifact.verify_digests()]
        size = sum(entry.size for entry in artifact.manifest.files.values())
        lines = [f"digests   {len(files)} files, {bytes_text(size)}: all as the manifest says"]
        if outside := artifact.unlisted:
            lines.append(f"reports   {' and '.join(outside)}: whole; no digest names them")
        proof = None if args.trust is None else _proof(artifact, args.trust)
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
            trust="unsigned" if proof is None else "trusted",
            proof=proof,
            golden=tuple(checks),
            passed=all(c.status != "failed" for c in checks),
        )
    lines += [f"trust     {_trust(proof)}", f"verdict   {_verdict(verification)}"]
    return Outcome(verification, "\n".join(lines), 0 if verification.passed else 1)


def _proof(artifact: Artifact, folder: Path) -> TrustProof:
    """Before anything of the artifact is run. Raises ArtifactError if the chain does not hold."""
    try:
        from edge_sdk.trust.offline import prove
    except ImportError as error:
        raise UnavailableError(
            f"Checking signatures needs python-tuf, which is not usable here: {error}",
            "pip install 'edgeloop[agent]'",
        ) from error
    return prove(artifact, folder, datetime.now(timezone.utc))


def _trust(proof: TrustProof | None) -> str:
    if proof is None:
        return "unsigned"
    keys = ", ".join(f"{key[:12]}…" for key in proof.signed_by)
    return (
        f"trusted: published in list {proof.targets_version}, signed by {keys} "
        f"under root {proof.root_version}; expires {proof.expires}"
    )


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
