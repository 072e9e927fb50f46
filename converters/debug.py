"""Which layers of a quantized variant part from the float one, and by how much.

Both builds run on the same real inputs, the artifact's own golden vectors unless others are given.
What each layer makes is compared (``converters.sensitivity``); the report begins with the worst.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from edge_sdk.errors import UsageError
from edge_sdk.spec import LayerError, Manifest, Variant, Word

if TYPE_CHECKING:
    from converters.probes import Probe
    from converters.sources.base import Arrays
    from edge_sdk.artifact import Artifact

MOST_INPUTS = 64
_FLOAT = ("fp32", "fp16")


class DebugLayer(LayerError, frozen=True, kw_only=True):
    """One layer, and its place in the order they run in, from 0."""

    place: int


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
        DebugLayer(place=place, **structs.asdict(error)) for place, error in enumerate(errors)
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
