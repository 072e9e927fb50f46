"""``edge debug``: which layers of a quantized variant part from the float one, and by how much.

Both builds run on the same real inputs, the artifact's own golden vectors unless others are given.
What each layer makes is compared (``converters.sensitivity``); the table begins with the worst.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UsageError
from edge_sdk.spec import Manifest, Variant, Word
from edge_sdk.text import printable, table

if TYPE_CHECKING:
    from converters.probes import Probe
    from converters.sensitivity import LayerError
    from converters.sources.base import Arrays
    from edge_sdk.artifact import Artifact

SUMMARY = "rank the layers of a quantized variant by their quantization error"
SHOWN = 20
MOST_INPUTS = 64
_FLOAT = ("fp32", "fp16")


class DebugLayer(Word, frozen=True, kw_only=True):
    """One layer; see ``converters.sensitivity`` for what the numbers mean.

    Attributes:
        place: its place in the order they run in, from 0.
        name: the tensor it makes.
        op: the operations it stands for.
        sqnr_db, typical_db: signal to quantization noise, of all of it and of a typical channel.
        added: noise it adds, as a share of its signal.
    """

    place: int
    name: str
    op: str
    sqnr_db: float
    typical_db: float
    added: float


class DebugReport(Word, frozen=True, kw_only=True):
    """What ``edge debug --json`` prints.

    Attributes:
        against: the float build: a variant's id, or the source it was made from.
        inputs: where they came from, and how many there were.
        layers: the lowest SQNR first.
        culprit: the layer to look at first; None if all are alike.
    """

    artifact: str
    variant: str
    against: str
    inputs: str
    samples: int
    layers: tuple[DebugLayer, ...]
    culprit: str | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge debug``."""
    add = parser.add_argument
    add("artifact", type=Path, metavar="X.edge")
    add("--variant", metavar="ID", help="the quantized one (default: the first there is)")
    add(
        "--against",
        metavar="ID|SOURCE",
        help="the float one: a variant, or the model the artifact was made from (default: the "
        "variant of that format in fp32, or fp16)",
    )
    add("--inputs", metavar="DATA", help="real inputs (default: the artifact's golden vectors)")
    add("--plot", type=Path, metavar="FILE", help="draw it: a .html or .svg file")
    add("--all", action="store_true", help=f"list every layer, not the {SHOWN} worst")


def run(args: argparse.Namespace) -> Outcome:
    """Compare, tell and draw."""
    from converters.report.layers import layers_page, layers_svg
    from converters.workshop import tidied
    from edge_sdk.artifact import Artifact
    from edge_sdk.files import check_writable, whole_file

    if args.plot is not None:
        if args.plot.suffix not in (".html", ".svg"):
            raise UsageError(f"{args.plot} is neither .html nor .svg.", "--plot layers.html")
        check_writable(args.plot)
    with tidied(), Artifact(args.artifact) as artifact:
        report = compare_layers(
            artifact, variant=args.variant, against=args.against, inputs=args.inputs
        )
    if args.plot is not None:
        draw = layers_page if args.plot.suffix == ".html" else layers_svg
        with whole_file(args.plot) as file:
            file.write(draw(report).encode())
        print(f"drew {args.plot}", file=sys.stderr)
    return Outcome(report, describe(report, None if args.all else SHOWN))


def compare_layers(
    artifact: Artifact,
    *,
    variant: str | None = None,
    against: str | None = None,
    inputs: str | None = None,
) -> DebugReport:
    """Compare a variant's layers with the float build's.

    Raises:
        UsageError: there is no such variant, none of the kind, or nothing to feed.
    """
    from converters.sensitivity import culprit, layer_errors

    quantized = _quantized(artifact, variant)
    signature = artifact.manifest.signature
    reference, name = _reference(artifact, quantized, against)
    from converters.probes import open_probe

    probe = open_probe(quantized.format, artifact.read(quantized.path), signature)
    where, rows = _inputs(artifact, inputs)
    errors, _ = layer_errors(reference, probe, rows)
    if not errors:
        raise UsageError(
            f"{quantized.id} and {name} have no layer in common.",
            "Give the model that the artifact was made from: --against SOURCE",
        )
    worst: LayerError | None = culprit(errors)
    layers = [
        DebugLayer(
            place=place,
            name=e.name,
            op=e.op,
            sqnr_db=e.sqnr_db,
            typical_db=e.typical_db,
            added=e.added,
        )
        for place, e in enumerate(errors)
    ]
    return DebugReport(
        artifact=str(artifact.path),
        variant=quantized.id,
        against=name,
        inputs=where,
        samples=len(rows),
        layers=tuple(sorted(layers, key=lambda layer: (layer.sqnr_db, layer.place))),
        culprit=None if worst is None else worst.name,
    )


def _quantized(artifact: Artifact, wanted: str | None) -> Variant:
    from converters.probes import PROBED

    if wanted is not None:
        found = artifact.variant(wanted)
        if found.format not in PROBED:
            raise UsageError(
                f"{found.id}: the tensors between layers of {found.format} are not seen here.",
                f"Take a variant of {' or '.join(PROBED)}: --variant ID",
            )
        return found
    for found in artifact.variants:
        if found.format in PROBED and found.recipe not in (*_FLOAT, "as-is"):
            return found
    raise UsageError(
        f"{artifact.path} has no quantized variant whose layers can be seen.",
        "Convert with one: edge convert SOURCE -o X.edge --recipe fp32,int8 --calibrate DATA",
    )


def _reference(artifact: Artifact, quantized: Variant, against: str | None) -> tuple[Probe, str]:
    """The float build, and what to call it."""
    from converters.probes import open_probe

    manifest = artifact.manifest
    ids = [v.id for v in artifact.variants]
    wanted = [against] if against else [f"{quantized.format}-{recipe}" for recipe in _FLOAT]
    for name in wanted:
        if name in ids:
            model = artifact.read(manifest.variant(name).path)
            return open_probe(quantized.format, model, manifest.signature), name
    if against is None:
        raise UsageError(
            f"{artifact.path} has no float variant of {quantized.format} to compare with.",
            "Give the model that it was made from: --against SOURCE",
        )
    if not Path(against).exists():
        raise UsageError(
            f"{against!r} is neither a variant nor a file.", f"The variants are {', '.join(ids)}."
        )
    return _of_source(against, quantized, manifest), against


def _of_source(path: str, quantized: Variant, manifest: Manifest) -> Probe:
    """The float build of the model that the artifact was made from, made again."""
    from converters.probes import open_probe
    from converters.sources import open_source
    from converters.targets import open_target
    from converters.workshop import workshop

    shapes = {t.name: _fixed(t.shape) for t in manifest.signature.inputs}
    source = open_source(path, shapes=shapes, trust_code=False)
    if source.sha256 != manifest.provenance.source_sha256:
        raise UsageError(
            f"{path} is not the model that {manifest.name} {manifest.version} was made from.",
            f"It was made from {manifest.provenance.source}, "
            f"sha256:{manifest.provenance.source_sha256}.",
        )
    with workshop() as folder:
        model = open_target(quantized.format, source, folder).trunk()
    return open_probe(quantized.format, model, manifest.signature)


def _fixed(shape: tuple[int | str, ...]) -> tuple[int, ...]:
    return tuple(d if isinstance(d, int) else 1 for d in shape)


def _inputs(artifact: Artifact, data: str | None) -> tuple[str, list[Arrays]]:
    """Where the inputs came from, and each of them."""
    from converters.samples import read_samples
    from converters.sources.base import alone

    manifest = artifact.manifest
    if data is not None:
        samples = read_samples(
            data,
            manifest.signature,
            preprocess=manifest.preprocess,
            postprocess=manifest.postprocess,
            labels=manifest.labels,
        )
        some = samples.at(samples.pick(MOST_INPUTS))
        count = len(next(iter(some.values())))
        return data, [alone(some, manifest.signature, i) for i in range(count)]
    golden = artifact.golden()
    if golden is None:
        raise UsageError(
            f"{artifact.path} carries no golden vectors to feed.", "Give inputs: --inputs DATA"
        )
    return "golden vectors", [
        {name: array[row] for name, array in golden.inputs.items()} for row in range(len(golden))
    ]


def describe(report: DebugReport, most: int | None) -> str:
    """The report for a person."""
    shown = report.layers[:most]
    header = ("layer", "operations", "SQNR", "typical channel", "adds", "")
    rows = [
        (
            short(layer.name),
            layer.op,
            f"{layer.sqnr_db:.1f} dB",
            f"{layer.typical_db:.1f} dB",
            f"{layer.added:.2%}",
            "<- look here first" if layer.name == report.culprit else "",
        )
        for layer in shown
    ]
    lines = [
        f"{report.variant} beside {report.against}, on {report.samples} of {report.inputs}",
        "",
        table(header, rows, "<<>>><"),
        "",
        *_meaning(report, len(shown)),
    ]
    return "\n".join(printable(line) for line in "\n".join(lines).splitlines())


def _meaning(report: DebugReport, shown: int) -> Iterator[str]:
    if more := len(report.layers) - shown:
        yield f"and {more} better ones: --all"
    yield "SQNR: signal to quantization noise; 20 dB is noise of 1 % of its power, 0 dB as much."
    yield "A layer adds what is beyond the noisiest tensor it reads; noise travels on."
    if report.culprit is not None:
        yield "next: the recipe 'mixed' leaves such layers in float: edge convert … --recipe mixed"


def short(name: str) -> str:
    """A layer's name without those of the operations fused into it."""
    return name.partition(";")[0]
