"""The account of a conversion: what was tried, with which tools, and what to be wary of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from converters.evidence import Evidence, scores_of
from converters.guarded import refused_of
from converters.identity import Identity
from converters.package import Built
from converters.recipe import Order
from converters.scores import class_count, is_guessing
from converters.sources import Source
from converters.targets import Target
from edge_sdk.artifact import Golden
from edge_sdk.machine.profile import processor
from edge_sdk.spec import (
    AGENT_VERSION,
    ConversionReport,
    Format,
    InputCheck,
    Provenance,
    Search,
    VariantReport,
)


def tools_of(original: Source, targets: Mapping[Format, Target]) -> dict[str, str]:
    """Versions of everything that shapes the bytes."""
    tools = {"edgeloop": AGENT_VERSION, **original.tools()}
    for target in targets.values():
        tools |= target.tools()
    return dict(sorted(tools.items()))


def account(
    original: Source,
    identity: Identity,
    data: Evidence,
    fed: InputCheck,
    tools: dict[str, str],
    *,
    orders: Sequence[Order] = (),
    built: Sequence[Built] = (),
    refused: Sequence[VariantReport] = (),
    search: Search | None = None,
    vectors: Golden | None = None,
) -> ConversionReport:
    """The report on a conversion."""
    places = [order.id for order in orders]
    variants = [*(b.report() for b in built), *refused]
    if places:
        variants.sort(key=lambda v: places.index(v.id))
    return ConversionReport(
        name=identity.name,
        version=identity.version,
        signature=original.signature,
        provenance=Provenance(
            source=original.name,
            source_format=original.kind,
            source_sha256=original.sha256,
            calibration_sha256=data.calibration.sha256 if data.calibration else None,
            evaluation_sha256=data.judged.sha256 if data.on == "evaluation" else None,
            tools=tools,
        ),
        source_size=original.size,
        variants=tuple(variants),
        search=search,
        timed_on=processor() if any(v.latency for v in variants) else "",
        warnings=tuple(_warnings(original, identity, data, variants)),
        golden=len(vectors) if vectors is not None else 0,
        input_check=fed,
    )


def _warnings(
    original: Source, identity: Identity, data: Evidence, variants: Sequence[VariantReport]
) -> Iterator[str]:
    """What the numbers do not say by themselves about the data they were measured with."""
    if identity.guard is not None and data.on != "random":
        yield from filter(None, [refused_of(identity.guard, data.judged)])
    if folders := data.judged.folders:
        order = ", ".join(f"{at} {name}" for at, name in enumerate(folders))
        yield (
            f"No labels were given: classes are the folders of {data.judged.source} in the order "
            f"of their names ({order}). If the model's order is another: --labels FILE"
        )
    found = (v.agreement.source_accuracy for v in variants if v.agreement)
    accuracy = next((share for share in found if share is not None), None)
    scores = scores_of(original, identity.postprocess, data)
    classes = class_count(original.signature, scores, identity.labels)
    if accuracy is not None and classes and is_guessing(accuracy, len(data.judged), classes):
        yield (
            f"The original is right on {accuracy:.1%} of {data.judged.source}, no better than "
            f"guessing among {classes} classes: are its labels in the order of the model's outputs?"
        )
