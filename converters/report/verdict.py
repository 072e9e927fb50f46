"""What the page says first: which variants are proven, and how far that word carries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from converters.report.figures import counted, listed
from edge_sdk.spec import ConversionReport, VariantReport


class Tone(Enum):
    """How good a piece of news is; the value is its name in the style sheet."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"
    PLAIN = "plain"


class Standing(Enum):
    """What may honestly be said of one variant: (a word, of one, of several, tone)."""

    PROVEN = ("proven", "is proven", "proven", Tone.GOOD)
    AGREES = (
        "agrees on noise",
        "agrees on random numbers",
        "agree on random numbers",
        Tone.DOUBTFUL,
    )
    INSPECTED = (
        "not run",
        "is checked by structure only",
        "checked by structure only",
        Tone.DOUBTFUL,
    )
    WRAPPED = ("as it is", "is wrapped as it is", "wrapped as it is", Tone.PLAIN)
    REFUSED = ("refused", "is refused", "refused", Tone.BAD)

    @property
    def word(self) -> str:
        """For the variant's badge."""
        return self.value[0]

    @property
    def of_one(self) -> str:
        """After "the variant"."""
        return self.value[1]

    @property
    def of_several(self) -> str:
        """After how many."""
        return self.value[2]

    @property
    def tone(self) -> Tone:
        """How good that is."""
        return self.value[3]


@dataclass(frozen=True)
class Verdict:
    """The verdict over all variants: a headline and a sentence or two."""

    tone: Tone
    headline: str
    detail: str


def standing(variant: VariantReport) -> Standing:
    """What may be said of it; one that ran on noise, or did not run, is not proven by that."""
    if variant.status == "refused":
        return Standing.REFUSED
    if variant.status == "wrapped":
        return Standing.WRAPPED
    found = variant.agreement
    if found is None or not found.samples or found.unchecked_ops:
        return Standing.INSPECTED
    return Standing.AGREES if found.on == "random" else Standing.PROVEN


def verdict(report: ConversionReport) -> Verdict:
    """The verdict over all variants of the report."""
    counts = Counter(standing(variant) for variant in report.variants)
    total = len(report.variants)
    if not total:
        return Verdict(Tone.PLAIN, "No variants", "Nothing was asked for, and nothing was made.")
    return Verdict(
        tone=_tone(counts),
        headline=_headline(counts, total),
        detail=" ".join(filter(None, [_evidence(report, total), _remainder(counts, total)])),
    )


def judged_on(on: str) -> str:
    """What the samples were, in words."""
    return "random numbers" if on == "random" else f"{on} data"


def _tone(counts: Counter[Standing]) -> Tone:
    present = {standing.tone for standing in counts}
    return next(t for t in (Tone.BAD, Tone.DOUBTFUL, Tone.GOOD, Tone.PLAIN) if t in present)


def _headline(counts: Counter[Standing], total: int) -> str:
    if refused := counts[Standing.REFUSED]:
        return f"Refused: {refused} of {counted(total, 'variant')}" if total > 1 else "Refused"
    if total == 1:
        (only,) = counts
        return f"The variant {only.of_one}"
    if len(counts) == 1:
        (only,) = counts
        return f"{'Both' if total == 2 else f'All {total}'} variants {only.of_several}"
    return listed([f"{counts[s]} {s.of_several}" for s in Standing if s in counts])


def _evidence(report: ConversionReport, total: int) -> str:
    """What the good ones were run on."""
    ran = [
        v.agreement
        for v in report.variants
        if standing(v) in (Standing.PROVEN, Standing.AGREES) and v.agreement
    ]
    if not ran:
        return ""
    samples = max(agreement.samples for agreement in ran)
    where = listed(list(dict.fromkeys(judged_on(agreement.on) for agreement in ran)))
    if len(ran) == total:
        who = "It was" if total == 1 else "Each was"
    else:
        who = "One of them was" if len(ran) == 1 else f"{len(ran)} of them were"
    return (
        f"{who} run beside the original on {counted(samples, 'sample')} of {where} "
        "and kept within the limits."
    )


def _remainder(counts: Counter[Standing], total: int) -> str:
    if counts[Standing.REFUSED]:
        return "An artifact is written only when every variant that was asked for is good enough."
    if counts[Standing.WRAPPED] == total:
        return "The artifact carries the original file itself, so there was nothing to compare."
    if inspected := counts[Standing.INSPECTED]:
        who = "One has" if inspected == 1 else f"{inspected} have"
        return f"{who} operations that could not be run here."
    return ""
