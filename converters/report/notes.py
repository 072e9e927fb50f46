"""What the numbers do not say: the small print, in plain words and only where it applies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from converters.recipe import DESCRIBED
from converters.report.figures import listed
from converters.report.verdict import Standing, Tone, standing
from edge_sdk.spec import ConversionReport, VariantReport

MIL_EVALUATOR = "MIL evaluator"
"""What ``checked_by`` begins with where Core ML was stood in for."""


@dataclass(frozen=True)
class Note:
    """One caveat: what it is about, and what follows from it."""

    tone: Tone
    title: str
    body: str


def notes(report: ConversionReport) -> tuple[Note, ...]:
    """Every caveat that applies, the gravest first."""
    return tuple([*_about_inputs(report), *_about_engines(report), *_about_meaning(report)])


def _about_inputs(report: ConversionReport) -> Iterator[Note]:
    found = [v.agreement for v in report.variants if v.agreement]
    judged_on = {agreement.on for agreement in found if agreement.samples}
    for warning in report.warnings:
        yield Note(Tone.DOUBTFUL, "About the labels", warning)
    if "random" in judged_on:
        yield Note(
            Tone.DOUBTFUL,
            "Judged on random numbers",
            "No data was given. That the outputs agree on noise shows that the graph survived; how "
            "the model answers real inputs it does not show, and no argmax was held against a "
            "limit. A judgement that counts: edge convert … --evaluate DATA",
        )
    if "calibration" in judged_on:
        yield Note(
            Tone.DOUBTFUL,
            "Judged on the calibration data",
            "Quantization ranges were chosen from the very inputs that the judgement is on, which "
            "flatters a calibrated variant. A fair judgement: edge convert … --evaluate DATA",
        )
    if judged_on - {"random"} and all(agreement.accuracy is None for agreement in found):
        yield Note(
            Tone.PLAIN,
            "Likeness, not accuracy",
            "The data had no labels: the numbers say how far a variant answers as the original "
            "does, not how often either is right.",
        )


def _about_engines(report: ConversionReport) -> Iterator[Note]:
    inspected = _names(v for v in report.variants if standing(v) is Standing.INSPECTED)
    if inspected:
        yield Note(
            Tone.DOUBTFUL,
            "Looked at, not run",
            f"{inspected}: some operations could not be run here. The structure was read and its "
            "types were checked; no output was compared. Run it on its own platform before you "
            "rely on it.",
        )
    evaluated = _names(
        v
        for v in report.variants
        if v.agreement and v.agreement.samples and v.agreement.checked_by.startswith(MIL_EVALUATOR)
    )
    if evaluated:
        yield Note(
            Tone.DOUBTFUL,
            "Core ML without Apple's hardware",
            f"{evaluated}: checked through the MIL program by an evaluator in float32. The graph "
            "and the stored weights are proven; the half-precision arithmetic of Apple's GPU and "
            "Neural Engine is not.",
        )
    if any(standing(v) in (Standing.PROVEN, Standing.AGREES) for v in report.variants):
        yield Note(
            Tone.PLAIN,
            "Compared on a CPU",
            "The comparison ran in the engines named under “Checked by”. A GPU, an NPU or another "
            "version may round differently: edge verify X.edge repeats the check on the device, "
            "with the artifact's golden vectors, if it carries any.",
        )


def _about_meaning(report: ConversionReport) -> Iterator[Note]:
    wrapped = _names(
        v for v in report.variants if standing(v) is Standing.WRAPPED and v.recipe != DESCRIBED
    )
    told = _names(v for v in report.variants if v.recipe == DESCRIBED)
    if told:
        yield Note(
            Tone.PLAIN,
            "Wrapped, with metadata added",
            f"{told}: the original file behind a new head that says what goes in and what comes "
            "out. What it computes is untouched: it answered the same, to the last bit.",
        )
    if wrapped:
        yield Note(
            Tone.PLAIN,
            "Wrapped as it is",
            f"{wrapped}: the original file itself, byte for byte. Nothing was converted, so there "
            "is no difference to measure.",
        )
    if any(v.limits for v in report.variants):
        yield Note(
            Tone.PLAIN,
            "What the limits are for",
            "They catch a build that is wrong. How much loss is too much for a use is for its "
            "owner to say.",
        )


def _names(variants: Iterator[VariantReport]) -> str:
    return listed([variant.id for variant in variants])
