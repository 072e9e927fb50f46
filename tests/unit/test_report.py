"""The report page: all that was measured is on it, nothing else gets in, and it is stable."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.identity import Identity
from converters.parity import Tally, judge
from converters.recipe import RECIPES
from converters.report import figures, render
from converters.report.accuracy import margin_of
from converters.report.axes import share_axis, size_axis
from converters.report.checks import Outcome, checks, reasons
from converters.report.labels import Box, place
from converters.report.marks import marks_of, measure_of
from converters.report.verdict import Standing, Tone, standing, verdict
from edge_sdk.spec import (
    Agreement,
    Classification,
    ConversionReport,
    Detection,
    ImageInput,
    InputLimits,
    Latency,
    Limits,
    Provenance,
    Quantization,
    Shortfall,
    Signature,
    SsdAnchors,
    TensorSpec,
    VariantReport,
)

MINUS, BY = "\N{MINUS SIGN}", " \N{MULTIPLICATION SIGN} "
VOID = {"meta", "br"}
SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MIL = "MIL evaluator, coremltools 9.0"
LABELS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker")

IDENTITY = Identity(
    name="fashion",
    version="1.2.0",
    labels=LABELS,
    preprocess=ImageInput(input="image", size=(28, 32), channels="gray", mean=(1.5,), std=(2.5,)),
    postprocess=Classification(output="scores", activation="softmax", top=4),
    description="What a picture of clothing shows.",
)
SIGNATURE = Signature(
    inputs=(TensorSpec(name="image", dtype="float32", shape=("batch", 28, 32, 1)),),
    outputs=(
        TensorSpec(
            name="scores",
            dtype="uint8",
            shape=("batch", 8),
            quantization=Quantization(scale=0.00390625, zero_point=-3),
        ),
    ),
)
PROVENANCE = Provenance(
    source="fashion.keras",
    source_format="keras",
    source_sha256=SHA,
    calibration_sha256=SHA[::-1],
    evaluation_sha256=SHA[1:] + "b",
    tools={"tensorflow": "2.21.0", "edgeloop": "0.1.0", "onnx": "1.23.2"},
)


def agreement(**changes: object) -> Agreement:
    measured = Agreement(
        samples=10_000,
        on="evaluation",
        checked_by="LiteRT 2.3.0",
        max_difference=0.2188,
        mean_difference=4.6e-6,
        cosine=0.99952,
        argmax=0.9893,
        accuracy=0.9077,
        source_accuracy=0.9086,
    )
    return msgspec.structs.replace(measured, **changes)


def variant(
    name: str,
    size: int,
    found: Agreement | None,
    limits: Limits | None,
    *shortfalls: Shortfall,
) -> VariantReport:
    """What the conversion would report of it; refused if it fell short."""
    kind, _, recipe = name.partition("-")
    return VariantReport(
        id=name,
        format=kind,  # type: ignore[arg-type]
        recipe=recipe,
        status="refused" if shortfalls else "converted",
        size=size,
        limits=limits,
        shortfalls=shortfalls,
        reason="; ".join(map(str, shortfalls)),
        agreement=found,
    )


FP32 = variant(
    "tflite-fp32",
    427_312,
    agreement(max_difference=3.4e-6, cosine=1.0, argmax=1.0, accuracy=0.9086),
    RECIPES["fp32"].limits,
)
INT8 = variant("tflite-int8", 113_416, agreement(), RECIPES["int8"].limits)
COREML = variant(
    "coreml-fp16",
    219_800,
    agreement(checked_by=MIL, argmax=0.999999, cosine=0.9999997),
    RECIPES["fp16"].limits,
)
WRONG = variant(
    "onnx-int8",
    114_000,
    agreement(accuracy=0.5, cosine=0.8),
    RECIPES["int8"].limits,
    Shortfall(limit="cosine similarity", measured=0.8, required=0.95),
    Shortfall(limit="accuracy drop", measured=0.4086, required=0.02),
)
BROKEN = VariantReport(
    id="coreml-int8-weights",
    format="coreml",
    recipe="int8-weights",
    status="refused",
    reason="coremltools said: no rule for lstm.\nAnother target may have it: --formats tflite",
    limits=RECIPES["int8-weights"].limits,
)
INSPECTED = variant(
    "coreml-fp32",
    430_000,
    Agreement(samples=0, on="evaluation", checked_by=MIL, unchecked_ops=("lstm", "sdpa")),
    RECIPES["fp32"].limits,
)
NOISE = variant(
    "onnx-fp32",
    425_970,
    agreement(on="random", samples=64, accuracy=None, source_accuracy=None, argmax=0.5, cosine=1.0),
    RECIPES["fp32"].limits,
)
WRAPPED = VariantReport(
    id="tflite-as-is", format="tflite", recipe="as-is", status="wrapped", size=229_746
)


def latency_of(p50_ms: float) -> Latency:
    return Latency(p50_ms=p50_ms, p90_ms=2 * p50_ms, calls=100, backend="litert 2.3.0", threads=4)


def report(*variants: VariantReport, **changes: object) -> ConversionReport:
    made = ConversionReport(
        name="fashion",
        version="1.2.0",
        signature=SIGNATURE,
        provenance=PROVENANCE,
        source_size=1_291_264,
        variants=variants,
    )
    return msgspec.structs.replace(made, **changes)


EMPTY = report(
    signature=Signature(inputs=(), outputs=()),
    provenance=Provenance(source="", source_format="onnx", source_sha256=SHA, tools={}),
    source_size=0,
)
MANY = report(
    *(msgspec.structs.replace(INT8, id=f"tflite-{i}", size=100_000 + 7 * i * i) for i in range(30))
)
CASES = {
    "good": report(FP32, INT8, COREML),
    "refused": report(FP32, WRONG, BROKEN),
    "all refused": report(WRONG, BROKEN),
    "inspected": report(FP32, INSPECTED),
    "random": report(NOISE),
    "wrapped": report(WRAPPED),
    "nothing": EMPTY,
    "many": MANY,
    "timed": report(
        msgspec.structs.replace(FP32, latency=latency_of(0.5)),
        msgspec.structs.replace(INT8, latency=latency_of(90.0)),
    ),
}


class Page(HTMLParser):
    """Reads a page and refuses one whose elements do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


@pytest.mark.parametrize("case", CASES)
def test_page_is_well_formed_and_fetches_and_runs_nothing(case: str) -> None:
    html = render(CASES[case], IDENTITY)
    page = Page(html)
    assert html.startswith("<!doctype html>\n<html lang=")
    assert "script" not in page.tags
    assert not {"src", "href", "style"} & {name for name, _ in page.attributes}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"https?:|//|@import|url\(", html)


def test_same_report_gives_the_same_bytes_whatever_the_hash_seed() -> None:
    program = "import test_report as t; print(t.render(t.CASES['good'], t.IDENTITY), end='')"
    pages = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            encoding="utf-8",
        ).stdout
        for seed in ("0", "1")
    }
    assert pages == {render(CASES["good"], IDENTITY)}


def test_order_of_the_tools_does_not_matter() -> None:
    tools = dict(reversed(PROVENANCE.tools.items()))
    other = report(FP32, provenance=msgspec.structs.replace(PROVENANCE, tools=tools))
    assert render(other, IDENTITY) == render(report(FP32), IDENTITY)


def test_everything_that_is_known_is_on_the_page() -> None:
    text = Page(render(CASES["good"], IDENTITY)).text
    for known in (
        *("fashion", "1.2.0", "What a picture of clothing shows.", "fashion.keras", "keras"),
        *(SHA, SHA[::-1], SHA[1:] + "b"),
        *("tensorflow", "2.21.0", "edgeloop", "0.1.0", "onnx", "1.23.2"),
        *LABELS,
        "8 classes",
        *("image", "float32", f"batch{BY}28{BY}32{BY}1", "scores", "uint8", f"batch{BY}8"),
        f"scale 0.00390625, zero point {MINUS}3",
        *(f"stretched to 28{BY}32", "bilinear", "gray", f"value = (byte {MINUS} 1.5) / 2.5"),
        *("through softmax", "best 4"),
        *("tflite-fp32", "tflite-int8", "coreml-fp16", "TFLite", "Core ML"),
        *("1.3 MB", "427 kB", "33%", "113 kB", "8.8%", "220 kB", "17%"),
        *("90.86%", "90.77%", f"{MINUS}0.09 ± 0.20", "98.93%", ">99.99%", "100.00%"),
        *("0.999520", ">0.999999", "0.22", "3.4e-6", "4.6e-6"),
        *("LiteRT 2.3.0", MIL, "10,000 evaluation samples"),
        *("accuracy drop ≤ 2 points", "same argmax ≥ 99.9%", "cosine ≥ 0.9999"),
    ):
        assert known in text


def test_worst_change_is_named_with_its_variant() -> None:
    assert f"{MINUS}0.09 pointstflite-int8" in Page(render(CASES["good"], IDENTITY)).text
    assert "0.00 pointsevery variant" in Page(render(report(FP32, FP32), IDENTITY)).text
    assert f"{MINUS}40.86 pointsonnx-int8, refused" in Page(render(report(WRONG), IDENTITY)).text


def test_detection_is_described() -> None:
    detection = Detection(
        boxes="regressors",
        scores="classificators",
        anchors=SsdAnchors(strides=(8, 16)),
        keypoints=6,
        max_overlap=0.25,
    )
    text = Page(render(report(WRAPPED), replace(IDENTITY, postprocess=detection))).text
    for known in ("regressors", "classificators", "6 keypoints", "strides 8, 16", "0.25"):
        assert known in text


def test_limits_are_described() -> None:
    limits = InputLimits(min_luma=20, ranges={"<b>": (0, 1)})
    text = Page(render(report(WRAPPED), replace(IDENTITY, guard=limits))).text
    assert "asked only about what keeps: min_luma 20, min_contrast 2, ranges <b> 0 to 1" in text


def test_what_is_not_declared_is_said_to_be_missing() -> None:
    text = Page(render(EMPTY, Identity(name="x", version="1.0.0"))).text
    assert text.count("none declared") == 6
    assert text.count("none given") == 2
    assert "No variants" in text


def test_labels_beyond_the_first_are_folded_away() -> None:
    identity = replace(IDENTITY, labels=tuple(f"class {i}" for i in range(1000)))
    text = Page(render(report(FP32), identity)).text
    assert "1,000 classes" in text
    assert "976 more" in text
    assert "class 999" in text


HOSTILE = "</style><script>alert(1)</script><img src=x onerror=\"a('b')\"> & &amp; \u202e\x00\udc80"
HARMLESS = HOSTILE.replace("\x00", "\ufffd").replace("\udc80", "\ufffd")


def test_foreign_text_is_shown_and_never_obeyed() -> None:
    found = agreement(checked_by=HOSTILE)
    hostile = report(
        msgspec.structs.replace(FP32, id=HOSTILE, recipe=HOSTILE, agreement=found),
        msgspec.structs.replace(BROKEN, id=HOSTILE, reason=HOSTILE),
        msgspec.structs.replace(
            WRONG,
            shortfalls=(Shortfall(limit=HOSTILE, measured=1.0, required=2.0),),
        ),
        msgspec.structs.replace(
            INSPECTED,
            agreement=agreement(samples=0, checked_by=HOSTILE, unchecked_ops=(HOSTILE,)),
        ),
        name=HOSTILE,
        version=HOSTILE,
        signature=Signature(
            inputs=(TensorSpec(name=HOSTILE, dtype="float32", shape=(HOSTILE, 2)),), outputs=()
        ),
        provenance=Provenance(
            source=HOSTILE, source_format=HOSTILE, source_sha256=SHA, tools={HOSTILE: HOSTILE}
        ),
    )
    identity = Identity(
        name=HOSTILE,
        version=HOSTILE,
        labels=(HOSTILE,),
        description=HOSTILE,
        preprocess=ImageInput(input=HOSTILE, size=(1, 1)),
        postprocess=Classification(output=HOSTILE),
    )
    html = render(hostile, identity)
    html.encode("utf-8")
    page = Page(html)
    assert page.tags <= Page(render(report(FP32, BROKEN, INSPECTED), IDENTITY)).tags
    assert page.text.count(HARMLESS) >= 20
    assert "�" not in Page(render(CASES["good"], IDENTITY)).text


@pytest.mark.parametrize(
    ("case", "tone", "headline"),
    [
        ("good", Tone.GOOD, "All 3 variants proven"),
        ("refused", Tone.BAD, "Refused: 2 of 3 variants"),
        ("all refused", Tone.BAD, "Refused: 2 of 2 variants"),
        ("inspected", Tone.DOUBTFUL, "1 proven and 1 checked by structure only"),
        ("random", Tone.DOUBTFUL, "The variant agrees on random numbers"),
        ("wrapped", Tone.PLAIN, "The variant is wrapped as it is"),
        ("nothing", Tone.PLAIN, "No variants"),
        ("many", Tone.GOOD, "All 30 variants proven"),
    ],
)
def test_verdict_claims_no_more_than_was_found(case: str, tone: Tone, headline: str) -> None:
    found = verdict(CASES[case])
    assert (found.tone, found.headline) == (tone, headline)
    assert headline in Page(render(CASES[case], IDENTITY)).text


def test_standing_of_a_variant_without_any_evidence_is_not_proven() -> None:
    assert standing(variant("onnx-fp32", 1, None, None)) is Standing.INSPECTED
    assert standing(INSPECTED) is Standing.INSPECTED
    assert standing(NOISE) is Standing.AGREES


@pytest.mark.parametrize(
    ("limit", "measured", "required", "said"),
    [
        ("argmax agreement", 0.98896, 0.989, "same argmax is 98.896%; at least 98.9% is asked"),
        ("cosine similarity", 0.5, 0.95, "cosine is 0.5; at least 0.95 is asked"),
        ("relative error", 0.0312, 0.02, "relative error is 3.12%; at most 2% is allowed"),
        ("greatest difference", 2.0, 0.1, "difference is 2; at most 0.1 is allowed"),
        ("greatest difference", None, 0.1, "difference is not finite; at most 0.1 is allowed"),
        ("accuracy drop", 0.0374, 0.02, "accuracy drop is 3.74 points; at most 2 points is allow"),
        ("weight", 2.0, 1.0, "weight is 2, and must be 1"),
    ],
)
def test_a_refusal_says_by_which_number(
    limit: str, measured: float | None, required: float, said: str
) -> None:
    shortfall = Shortfall(limit=limit, measured=measured, required=required)
    refused = variant("tflite-int8", 1000, agreement(), None, shortfall)
    assert reasons(refused)[0].startswith(said)
    assert Page(render(report(refused), IDENTITY)).text.count(said) == 2
    assert [check.outcome for check in checks(refused)] == [Outcome.MISSED] * (limit != "weight")


def test_every_limit_that_the_judge_knows_is_put_in_the_page_s_words() -> None:
    limits = Limits(argmax=1.0, cosine=1.0, max_difference=0.0, accuracy_drop=0.0)
    strictest = replace(RECIPES["fp32"], limits=limits, error=0.0)
    missed = {}
    for labels in (None, np.array([0])):
        tally = Tally("scores")
        tally.add({"scores": np.array([[1.0, 0.0]])}, {"scores": np.array([[0.0, 9.0]])}, labels)
        missed |= {s.limit: s for s in judge(tally, agreement(), strictest)}
    assert len(missed) == 5
    unknown = [
        s for s in missed.values() if reasons(variant("onnx-fp32", 1, None, None, s)) == (str(s),)
    ]
    assert not unknown


def test_limits_are_met_missed_or_not_tested() -> None:
    outcomes = {check.name: check.outcome for check in checks(NOISE)}
    assert outcomes == {"same argmax": Outcome.OPEN, "cosine": Outcome.MET}
    assert {check.outcome for check in checks(BROKEN)} == {Outcome.OPEN}
    assert checks(WRAPPED) == ()


@pytest.mark.parametrize(
    ("case", "title"),
    [
        ("random", "Judged on random numbers"),
        ("good", "Core ML without Apple's hardware"),
        ("inspected", "Looked at, not run"),
        ("wrapped", "Wrapped as it is"),
    ],
)
def test_caveats_stand_where_they_apply_and_only_there(case: str, title: str) -> None:
    assert title in Page(render(CASES[case], IDENTITY)).text
    assert title not in Page(render(report(FP32), IDENTITY)).text


def test_calibration_data_is_owned_up_to() -> None:
    own = agreement(on="calibration", accuracy=None, source_accuracy=None)
    text = Page(render(report(variant("tflite-int8", 9, own, None)), IDENTITY)).text
    assert "Judged on the calibration data" in text
    assert "Likeness, not accuracy" in text
    assert "Accuracy" not in text


def test_difference_that_json_could_not_hold_is_not_taken_for_a_missing_one() -> None:
    endless = agreement(max_difference=None, mean_difference=None)
    page = render(report(variant("onnx-fp32", 9, endless, None), INSPECTED), IDENTITY)
    assert Page(page).text.count("not finite") == 2


def test_operations_that_were_not_run_are_named() -> None:
    assert "lstm, sdpa" in Page(render(CASES["inspected"], IDENTITY)).text


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (figures.percent(0.9086), "90.86%"),
        (figures.percent(0.999996), ">99.99%"),
        (figures.percent(1.0), "100.00%"),
        (figures.percent(0.000001), "<0.01%"),
        (figures.percent(0.0), "0.00%"),
        (figures.cosine(0.99999999), ">0.999999"),
        (figures.cosine(-0.5), f"{MINUS}0.500000"),
        (figures.points(-0.0009), f"{MINUS}0.09"),
        (figures.points(0.00002), "+0.002"),
        (figures.points(0.0), "0.00"),
        (figures.difference(0.0), "0"),
        (figures.difference(0.9988), "1.00"),
        (figures.difference(0.2188), "0.22"),
        (figures.difference(12.3), "12"),
        (figures.difference(3.4e-6), "3.4e-6"),
        (figures.difference(2e7), "2.0e7"),
        (figures.difference(math.inf), "not finite"),
        (figures.difference(None), "—"),
        (figures.size_share(0.088), "8.8%"),
        (figures.size_share(1.01), "101%"),
        (figures.counted(1, "sample"), "1 sample"),
        (figures.counted(10_000, "sample"), "10,000 samples"),
        (figures.listed(["a", "b", "c"]), "a, b and c"),
        (figures.listed(["a"]), "a"),
        (figures.listed([]), ""),
    ],
)
def test_figures(shown: str, text: str) -> None:
    assert shown == text


def test_margin_is_that_of_paired_proportions() -> None:
    # No answer differs: half a count in each cell is all there is, 1.96 * sqrt(1) / 10,002.
    assert margin_of(FP32.agreement) == pytest.approx(1.96 / 10_002)
    # 107 answers differ, 9 net losses.
    assert margin_of(INT8.agreement) == pytest.approx(1.96 * math.sqrt(108 - 81 / 10_002) / 10_002)
    assert margin_of(NOISE.agreement) is None
    assert margin_of(None) is None


def test_axis_of_sizes_is_logarithmic_beyond_tenfold() -> None:
    near = size_axis([100_000, 900_000], 0, 100, 5)
    far = size_axis([100_000, 1_291_264], 0, 100, 5)
    assert (near.low, near.logarithmic, far.logarithmic) == (0, False, True)
    assert near.at(0) == 0
    assert far.at(math.sqrt(far.low * far.high)) == pytest.approx(50)


@given(
    st.lists(st.integers(1, 10**11), min_size=1, max_size=8),
    st.integers(2, 9),
)
def test_axis_of_sizes_holds_them_all(sizes: list[int], most: int) -> None:
    axis = size_axis(sizes, 10, 90, most)
    assert all(axis.low <= size <= axis.high for size in sizes)
    assert 1 <= len(axis.ticks) <= most + 1
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from([0.002, 1e-5]))
def test_axis_of_shares_holds_both_and_ends_at_one(a: float, b: float, least: float) -> None:
    axis = share_axis(min(a, b), max(a, b), 90, 10, least)
    assert axis.low <= min(a, b)
    assert max(a, b) <= axis.high <= 1 + 1e-12
    assert 2 <= len(axis.ticks) <= 7


points = st.tuples(st.floats(40, 660), st.floats(30, 330))


@given(st.lists(st.tuples(points, st.text("abcdefg-", min_size=1, max_size=26)), max_size=14))
def test_names_on_the_plot_cover_neither_each_other_nor_a_point(
    named: list[tuple[tuple[float, float], str]],
) -> None:
    frame = Box(0, 0, 700, 360)
    spots = [spot for spot, _ in named]
    labels = place(spots, [name for _, name in named], frame)
    written = [label.place.box for label in labels if not label.numbered]
    for box in written:
        assert box.within(frame)
        assert not any(box.overlaps(Box(x - 4, y - 4, x + 4, y + 4)) for x, y in spots)
    boxes = [label.place.box for label in labels]
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[:i])
    numbers = [label.text for label in labels if label.numbered]
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]


TIMED = report(
    *(
        msgspec.structs.replace(each, latency=None if time is None else latency_of(time))
        for each, time in ((FP32, 0.5), (INT8, 0.125), (COREML, None))
    ),
    timed_on="Cortex-A76, 4 cores",
)


def test_latency_has_its_own_panel_column_and_figure() -> None:
    page = render(TIMED, IDENTITY)
    panels = re.findall(r"<title>Accuracy against (\w+)</title>", page)
    assert panels == ["size"] * 3 + ["latency"] * 3
    assert "Likeness, size and latency" in page
    assert "the median of one call on Cortex-A76, 4 cores" in page
    assert "Core ML builds have none" in page
    assert page.count("0.125 ms") >= 3  # the fastest's figure, its row, its mark
    drawings = page.split("Accuracy against latency")[1:]
    assert all("coreml-fp16" not in drawing.split("</svg>")[0] for drawing in drawings)


def test_without_latencies_there_is_no_word_of_them() -> None:
    page = render(CASES["good"], IDENTITY)
    assert "latency" not in page.split("</style>")[1].lower()


def test_refused_variant_far_below_does_not_flatten_the_plot() -> None:
    measure = measure_of(CASES["refused"])
    assert measure is not None
    marks = {mark.name: mark for mark in marks_of(CASES["refused"], measure)}
    assert {name: mark.beyond for name, mark in marks.items()} == {
        "original": False,
        "tflite-fp32": False,
        "onnx-int8": True,
    }
    assert "onnx-int8, refused at 50.00%" in Page(render(CASES["refused"], IDENTITY)).text


@pytest.mark.parametrize(
    ("missing", "title"),
    [
        ({}, "Accuracy"),
        ({"accuracy": None, "source_accuracy": None}, "Same argmax"),
        ({"accuracy": None, "source_accuracy": None, "argmax": None}, "Cosine similarity"),
    ],
)
def test_plot_falls_back_to_the_next_best_measure(missing: dict[str, None], title: str) -> None:
    made = report(variant("tflite-int8", 100, agreement(**missing), None))
    measure = measure_of(made)
    assert measure is not None
    assert measure.title == title
    assert f"{title} against size" in Page(render(made, IDENTITY)).text


def test_every_variant_of_many_is_named_on_each_drawing_or_below_it() -> None:
    drawings = re.findall(r'<div class="plot .*?</div>', render(MANY, IDENTITY), re.DOTALL)
    assert len(drawings) == 3
    for drawing in drawings:
        names = re.findall(r">(tflite-\d+)<", drawing)
        assert sorted(names) == sorted(v.id for v in MANY.variants)
