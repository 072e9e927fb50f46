"""What ``edge convert`` says at its beginning and its end."""

from __future__ import annotations

import argparse
import sys

import pytest

from converters import cli
from converters.conversion import Conversion
from edge_sdk.errors import UnavailableError
from edge_sdk.spec import ConversionReport, Provenance, Signature, VariantReport

SIGNATURE = Signature(inputs=(), outputs=())


def said(artifact=None, **status):
    """What is told of variants named ``format_recipe``."""
    variants = tuple(
        VariantReport(
            id=name.replace("_", "-"),
            format=name.partition("_")[0],
            recipe=name.partition("_")[2].replace("_", "-"),
            status=what,
            reason="because" if what == "refused" else "",
        )
        for name, what in status.items()
    )
    report = ConversionReport(
        name="m",
        version="1.0.0",
        signature=SIGNATURE,
        provenance=Provenance(source="m", source_format="keras", source_sha256="0" * 64, tools={}),
        source_size=1,
        variants=variants,
    )
    passed = artifact is not None
    return cli.describe(Conversion(passed=passed, report=report, seconds={}, artifact=artifact))


def options(text):
    (line,) = [line for line in text.splitlines() if line.startswith("Without it: ")]
    return line.removeprefix("Without it: ")


OK, NO = "converted", "refused"


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ({"tflite_fp32": OK, "tflite_int8": NO}, "--formats tflite --recipe fp32"),
        (
            {"tflite_fp32": OK, "tflite_fp16": NO, "coreml_fp32": OK, "coreml_fp16": OK},
            "--formats tflite,coreml --recipe fp32",
        ),
        (
            {"tflite_fp32": NO, "tflite_fp16": NO, "coreml_fp32": OK, "coreml_fp16": OK},
            "--formats coreml --recipe fp32,fp16",
        ),
        ({"tflite_fp32": NO, "tflite_int8": NO, "onnx_fp32": OK}, "--formats onnx --recipe fp32"),
        (
            {"tflite_fp32": OK, "tflite_fp16": OK, "tflite_int8": OK, "onnx_fp32": NO},
            "--formats tflite --recipe fp32,fp16,int8",
        ),
        ({"tflite_fp32": NO, "onnx_fp32": OK, "tflite_fp16": OK}, "--formats tflite --recipe fp16"),
    ],
)
def test_the_way_out_asks_for_nothing_that_was_refused(status, wanted):
    assert options(said(**status)) == wanted


def test_there_is_no_way_out_if_nothing_stands():
    assert "Without it" not in said(tflite_fp32=NO)


def test_a_path_can_be_pasted():
    text = said("my models/it's.edge", tflite_fp32=OK)
    next_ = text.splitlines()[-1].removeprefix("next: edge verify ")
    import shlex

    assert shlex.split(next_) == ["my models/it's.edge"]


def test_an_older_python_is_told_so_before_anything_else(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    with pytest.raises(UnavailableError, match=r"Python 3\.11 or newer; this is 3\.10") as caught:
        cli.run(argparse.Namespace())
    assert caught.value.exit_code == 3
    assert "python3.11" in caught.value.hint
