"""The page's sections on how the model is fed, on delegates and on what is given away."""

from __future__ import annotations

import pytest

from converters.identity import Identity
from converters.report import render
from edge_sdk.spec import (
    ConversionReport,
    Coverage,
    InputCheck,
    LayerError,
    LayerNoise,
    Provenance,
    Signature,
    TensorSpec,
    TriedInput,
    VariantReport,
    decode,
    encode,
)

IDENTITY = Identity(name="colours", version="1.0.0")
SIGNATURE = Signature(
    inputs=(TensorSpec(name="image", dtype="float32", shape=(1, 24, 24, 3)),),
    outputs=(TensorSpec(name="scores", dtype="float32", shape=(1, 12)),),
)
TRIED = (
    TriedInput(what="resize crop instead of letterbox", accuracy=0.333, samples=64),
    TriedInput(what="channels <rgb> instead of bgr", accuracy=0.912, samples=256),
)


def report(check: InputCheck | None = None, **changes: object) -> ConversionReport:
    fields = {
        "name": "colours",
        "version": "1.0.0",
        "signature": SIGNATURE,
        "provenance": Provenance(
            source="m.keras", source_format="keras", source_sha256="0" * 64, tools={}
        ),
        "source_size": 1000,
        "variants": (),
        "input_check": check,
        **changes,
    }
    return ConversionReport(**fields)  # type: ignore[arg-type]


def test_a_contradiction_is_shown_with_all_that_was_tried() -> None:
    check = InputCheck(
        verdict="contradicted",
        said="with channels rgb the original is right on 91.2%",
        remedy='channels = "rgb"',
        samples=256,
        accuracy=0.34,
        tried=TRIED,
    )
    page = render(report(check), IDENTITY)
    assert "It is not fed as it was trained" in page
    assert "Try: channels = &quot;rgb&quot;" in page or 'Try: channels = "rgb"' in page
    assert "as declared" in page
    assert "34.0%" in page
    assert page.index("91.2%</span>") < page.index("33.3%</span>")
    assert "&lt;rgb&gt;" in page
    assert "<rgb>" not in page


@pytest.mark.parametrize(
    ("verdict", "title"),
    [
        ("confirmed", "as far as the classic mistakes go"),
        ("doubtful", "may not be fed"),
        ("unchecked", "Not checked"),
    ],
)
def test_every_verdict_has_its_title(verdict: str, title: str) -> None:
    check = InputCheck(verdict=verdict, said="because")  # type: ignore[arg-type]
    page = render(report(check), IDENTITY)
    assert title in page
    assert "Because" in page


def test_layers_stand_beside_those_of_a_float_variant() -> None:
    layers = tuple(
        LayerError(name=name, op="Conv", sqnr_db=30.0, typical_db=20.0, added=added)
        for name, added in (("first", 0.0), ("second;relu", 0.25), ("<third>", 0.001))
    )
    variants = tuple(
        VariantReport(
            id=f"onnx-{recipe}",
            format="onnx",
            recipe=recipe,
            status="converted",
            noise=LayerNoise(against="onnx-fp32", samples=8, layers=layers, culprit="second;relu")
            if recipe != "fp32"
            else None,
        )
        for recipe in ("fp32", "int8", "int8-dynamic")
    )
    page = render(report(variants=variants), IDENTITY)
    assert "Noise by layer" in page
    assert page.count("<details") == 2
    assert page.count("<circle") - page.count('class="culprit"') == 4
    assert page.index("25.00%") < page.index("0.10%")
    assert "<td><bdi>second</bdi></td>" in page
    assert "<td><bdi>first</bdi></td>" not in page, "it adds nothing"
    assert "<third>" not in page
    assert "Noise by layer" not in render(report(variants=variants[:1]), IDENTITY)


def test_operations_stand_by_delegate() -> None:
    variants = tuple(
        VariantReport(
            id=f"tflite-{recipe}",
            format="tflite",
            recipe=recipe,
            status="converted",
            coverage=Coverage(operations=count, taken=taken),
        )
        for recipe, count, taken in (
            ("fp32", 9, {"xnnpack": 9}),
            ("int8", 12, {"xnnpack": 9, "cpu": 3}),
            ("fp16", None, {"cpu": None}),
        )
    )
    page = render(report(variants=variants), IDENTITY)
    assert "Operations by delegate" in page
    assert "9 (100%)" in page
    assert "9 (75%)" in page
    assert "3 (25%)" in page
    assert "<td>some</td>" in page
    assert "Operations by delegate" not in render(report(), IDENTITY)


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "none: no device can check"), (1, "1 real input "), (16, "16 real inputs ")],
)
def test_what_is_given_away_is_counted(count: int, said: str) -> None:
    assert said in render(report(golden=count), IDENTITY)


def test_the_same_stands_in_the_json() -> None:
    check = InputCheck(verdict="confirmed", said="so", samples=64, accuracy=1.0, tried=TRIED)
    written = report(check, golden=3)
    assert decode(encode(written), ConversionReport, "report.json") == written
