"""``edge inspect``: what an artifact is, as a table for people or the manifest for programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli.command import Outcome
from edge_sdk.spec import Agreement, Manifest, Variant, Word
from edge_sdk.text import bytes_text, printable, table

SUMMARY = "show what an artifact contains and what was measured of it"


class Inspection(Word, frozen=True, kw_only=True):
    """What ``edge inspect --json`` prints."""

    path: str
    digest: str
    size: int
    manifest: Manifest


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge inspect``."""
    parser.add_argument("artifact", type=Path, metavar="X.edge")


def run(args: argparse.Namespace) -> Outcome:
    """Open the artifact and describe it; contents are not read, see ``edge verify``."""
    from edge_sdk.artifact import Artifact

    with Artifact(args.artifact) as artifact:
        inspection = Inspection(
            path=printable(str(artifact.path)),
            digest=artifact.digest,
            size=artifact.path.stat().st_size,
            manifest=artifact.manifest,
        )
    return Outcome(inspection, describe(inspection))


def describe(inspection: Inspection) -> str:
    """The inspection for a person."""
    from edge_sdk.artifact import variant_files

    manifest = inspection.manifest
    source = manifest.provenance
    lines = [
        f"{manifest.name} {manifest.version}   {bytes_text(inspection.size)}   "
        f"sha256:{inspection.digest}",
        *([manifest.description] if manifest.description else []),
        f"from      {source.source} ({source.source_format}, sha256:{source.source_sha256[:12]}…)",
        *[f"input     {tensor}" for tensor in manifest.signature.inputs],
        *[f"output    {tensor}" for tensor in manifest.signature.outputs],
    ]
    if manifest.labels:
        shown = ", ".join(manifest.labels[:6])
        more = f", … ({len(manifest.labels)})" if len(manifest.labels) > 6 else ""
        lines.append(f"labels    {shown}{more}")
    if manifest.preprocess:
        lines.append(f"before    {_declared(manifest.preprocess)}")
    if manifest.postprocess:
        lines.append(f"after     {_declared(manifest.postprocess)}")
    if manifest.guard:
        from edge_sdk.guard import describe_limits

        pictures = manifest.preprocess is not None
        told = describe_limits(manifest.guard, pictures=pictures)
        lines.append(f"guard     {told or 'refuses nothing'}")
    lines = [printable(line) for line in lines]
    lines += ["", variant_table(manifest), ""]
    if described := [printable(v.id) for v in manifest.variants if v.described]:
        lines.append(f"metadata  inside {', '.join(described)}: MediaPipe Tasks can read it")
    others = sorted(
        set(manifest.files)
        - {name for v in manifest.variants for name in variant_files(manifest, v)}
    )
    lines.append(f"beside    {', '.join(others) or 'nothing'}")
    lines.append("trust     unsigned; edge verify checks the digests and the answers")
    return "\n".join(lines)


def _declared(word: Word) -> str:
    import msgspec

    fields = msgspec.to_builtins(word)
    kind = fields.pop("kind")
    return f"{kind}: " + ", ".join(f"{name} {_plain(value)}" for name, value in fields.items())


def _plain(value: object) -> str:
    """A declared value without brackets and needless digits."""
    if isinstance(value, dict):
        return " ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def variant_table(manifest: Manifest) -> str:
    """One line per variant: what it is, how big, how like the original."""
    header = ("variant", "size", "runs on", "accuracy", "same argmax", "max diff", "checked by")
    rows = [_variant_row(variant) for variant in manifest.variants]
    return table(header, rows, "<><>>><")


def _variant_row(variant: Variant) -> tuple[str, ...]:
    likeness = variant.agreement
    cells = ("", "", "", "the original") if likeness is None else _likeness(likeness)
    row = (variant.id, bytes_text(variant.size), ", ".join(variant.backends), *cells)
    return tuple(map(printable, row))


def _likeness(agreement: Agreement) -> tuple[str, ...]:
    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.2%}"

    checked = f"{agreement.checked_by}, {agreement.samples} {agreement.on} inputs"
    return (
        share(agreement.accuracy),
        share(agreement.argmax),
        "" if agreement.max_difference is None else f"{agreement.max_difference:.2g}",
        checked,
    )
