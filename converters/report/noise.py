"""The layers of each quantized variant beside a float one: those that add most, and a drawing."""

from __future__ import annotations

from converters.report.layers import first_name, noise_drawing
from converters.report.markup import Html, foreign, join, rows, tag
from edge_sdk.spec import ConversionReport, LayerError, LayerNoise, VariantReport

LISTED = 4
"""So many layers of a variant are in the table; report.json has all."""
SHOWN = 5e-5
"""What adds less reads 0.00 %, and is left out."""
_TITLES = ("Variant", "Layer that adds most", "Operations", "SQNR", "Typical channel", "Adds")


def noise_section(report: ConversionReport) -> Html | None:
    """A drawing for every variant that was looked into, and one table; None if none was."""
    looked = [(v, v.noise) for v in report.variants if v.noise is not None]
    if not looked:
        return None
    head = tag("thead", tag("tr", *(tag("th", title, scope="col") for title in _TITLES)))
    body = rows(*(row for variant, noise in looked for row in _worst(variant, noise)))
    return join(
        [
            tag("table", head, tag("tbody", body), class_="plain-table"),
            tag(
                "p",
                "SQNR is signal to quantization noise: 20 dB is noise of 1 % of its power. A layer "
                "adds what is beyond the noisiest tensor it reads; the recipe ",
                tag("code", "mixed"),
                " leaves such layers in float. report.json has every layer.",
                class_="footnote",
            ),
            *(_figure(v, noise, unfolded=at == 0) for at, (v, noise) in enumerate(looked)),
        ]
    )


def _figure(variant: VariantReport, noise: LayerNoise, *, unfolded: bool) -> Html:
    """A drawing that folds: there may be as many as there are recipes."""
    words = f" beside {noise.against}, on {noise.samples} samples"
    return tag(
        "details",
        tag("summary", tag("b", foreign(variant.id)), foreign(words)),
        tag("figure", noise_drawing(variant.id, noise)),
        open="" if unfolded else None,
        class_="noise",
    )


def _worst(variant: VariantReport, noise: LayerNoise) -> list[Html]:
    worst = sorted(noise.layers, key=lambda layer: -layer.added)[:LISTED]
    shown = [worst[0], *(layer for layer in worst[1:] if layer.added > SHOWN)]
    return [_row(variant.id if at == 0 else "", layer) for at, layer in enumerate(shown)]


def _row(variant: str, layer: LayerError) -> Html:
    return tag(
        "tr",
        tag("th", tag("b", foreign(variant)) if variant else "", scope="row"),
        tag("td", foreign(first_name(layer.name))),
        tag("td", foreign(layer.op)),
        tag("td", f"{layer.sqnr_db:.1f} dB"),
        tag("td", f"{layer.typical_db:.1f} dB"),
        tag("td", f"{layer.added:.2%}"),
    )
