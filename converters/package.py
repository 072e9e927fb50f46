"""From proven variants to one file: golden vectors, reports, manifest, artifact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.identity import Identity
from converters.recipe import AS_IS, DESCRIBED, RECIPES
from converters.report import render
from converters.sources.base import Arrays, Source, alone
from converters.targets.base import Answering
from converters.tflite.stamp import is_described
from edge_sdk import interrupt
from edge_sdk.artifact import Content, Golden, golden, measure, pack
from edge_sdk.errors import UsageError
from edge_sdk.files import tree
from edge_sdk.spec import (
    Agreement,
    ConversionReport,
    Coverage,
    Format,
    Latency,
    LayerNoise,
    Manifest,
    Signature,
    Variant,
    VariantReport,
    encode,
)
from edge_sdk.spec.contents import BASELINE, REPORTS
from edge_sdk.spec.sketch import Baseline

MARGIN = 1.25
"""Golden tolerance: this many times the difference measured here, plus the recipe's floor."""


@dataclass(frozen=True)
class Built:
    """One variant, proven: what goes into the artifact for it.

    Attributes:
        file: the model file, or the package folder.
        agreement: None for the original itself, wrapped.
        runner: answers as the variant does.
        floor: see ``Recipe.tolerance``.
        wide: layers of a mixed build that stayed in floating point.
        latency: of one call here; None if nothing here runs it, or it was not measured.
        noise: see ``VariantReport``.
    """

    id: str
    format: Format
    recipe: str
    file: Path
    signature: Signature
    backends: tuple[str, ...]
    agreement: Agreement | None
    runner: Answering
    floor: float
    wide: tuple[str, ...] = ()
    latency: Latency | None = None
    noise: LayerNoise | None = None

    def contents(self) -> dict[str, Content]:
        """Its files, by their names inside the artifact."""
        if self.file.is_dir():
            return {f"{self.path}/{name}": file for name, file in tree(self.file).items()}
        return {self.path: self.file}

    def report(self) -> VariantReport:
        """Its line in the report."""
        return VariantReport(
            id=self.id,
            format=self.format,
            recipe=self.recipe,
            status="wrapped" if self.recipe in (AS_IS, DESCRIBED) else "converted",
            size=self.size,
            wide=self.wide,
            limits=RECIPES[self.recipe].limits if self.recipe in RECIPES else None,
            agreement=self.agreement,
            coverage=_coverage(self.runner),
            latency=self.latency,
            noise=self.noise,
        )

    @property
    def path(self) -> str:
        """Its model file or package, inside the artifact."""
        return f"variants/{self.id}/model{self.file.suffix}"

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        files = tree(self.file).values() if self.file.is_dir() else [self.file]
        return sum(file.stat().st_size for file in files)


def _coverage(runner: Answering) -> Coverage | None:
    """Delegates and their operations, without what differs from machine to machine (threads)."""
    placement = runner.placement
    if placement is None:
        return None
    taken = {a.delegate: a.operations for a in placement.attempts if a.active}
    return Coverage(operations=placement.operations, taken=taken)


def golden_of(source: Source, inputs: Arrays) -> Golden:
    """Golden vectors from real inputs (first axis the samples), answered by the original."""
    count = len(next(iter(inputs.values())))
    rows = [alone(inputs, source.signature, index) for index in range(count)]
    answers = [source.run_one(row) for row in rows]
    _check_alike(answers)
    return Golden(
        inputs={name: np.stack([row[name] for row in rows]) for name in inputs},
        outputs={name: np.stack([a[name] for a in answers]) for name in answers[0]},
    )


def _check_alike(answers: Sequence[Arrays]) -> None:
    for name in answers[0]:
        if len({answer[name].shape for answer in answers}) > 1:
            raise UsageError(
                f"The output {name!r} is of another length for each input: such answers cannot be "
                "kept as golden vectors.",
                "Leave them out: --golden none",
            )


def tolerance_of(vectors: Golden, runner: Answering, floor: float) -> dict[str, float]:
    """How far a variant may be from the golden outputs, by output, in the output's units.

    Args:
        runner: answers as the variant does here; one with operations it cannot run adds nothing.
        floor: what another machine's arithmetic may add, as a share of the output's span.
    """
    answers: list[Arrays] = []
    if not runner.unchecked_ops:
        rows = range(len(vectors))
        answers = [runner.run_one({k: v[i] for k, v in vectors.inputs.items()}) for i in rows]
    limits = {}
    for name, expected in vectors.outputs.items():
        real = expected.astype(np.float64)
        gaps = [
            real[row] - np.asarray(answer[name], np.float64) for row, answer in enumerate(answers)
        ]
        span = max(_span(real), 1e-4 * _largest(real), 1e-6)
        limits[name] = MARGIN * max(map(_largest, gaps), default=0.0) + floor * span
    return limits


def _span(values: npt.NDArray[np.float64]) -> float:
    """From the least to the greatest."""
    known = values[np.isfinite(values)]
    return float(known.max() - known.min()) if known.size else 0.0


def _largest(values: npt.NDArray[np.float64]) -> float:
    """The greatest magnitude; what the original itself answers without a number sets no measure."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def package(
    output: Path,
    *,
    identity: Identity,
    source: Source,
    report: ConversionReport,
    built: Sequence[Built],
    vectors: Golden | None,
    baseline: Baseline | None,
) -> tuple[str, Manifest]:
    """Write the artifact; answers its digest and manifest.

    Raises:
        UsageError, UnavailableError: it cannot be written there.
    """
    contents: dict[str, Content] = {}
    if vectors is not None:
        contents[golden.FILE] = golden.pack(vectors)
    if baseline is not None:
        contents[BASELINE] = encode(baseline)
    for variant in built:
        contents |= variant.contents()
    manifest = Manifest(
        name=identity.name,
        version=identity.version,
        description=identity.description,
        labels=identity.labels,
        signature=source.signature,
        preprocess=identity.preprocess,
        postprocess=identity.postprocess,
        guard=identity.guard,
        variants=tuple(
            Variant(
                id=b.id,
                format=b.format,
                recipe=b.recipe,
                path=b.path,
                size=b.size,
                backends=b.backends,
                signature=b.signature,
                agreement=b.agreement,
                described=is_described(b.file),
            )
            for b in built
        ),
        provenance=report.provenance,
        files=measure(contents),
    )
    told = zip(REPORTS, (render(report, identity).encode(), encode(report)), strict=True)
    interrupt.check()
    return pack(output, manifest, {**contents, **dict(told)}), manifest
