"""What holds of every word."""

from __future__ import annotations

import ast
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge_sdk
from edge_sdk.errors import ArtifactError, UsageError
from edge_sdk.spec import (
    Agreement,
    Attempt,
    Box,
    Boxes,
    Classes,
    ClassScore,
    ConversionReport,
    FileEntry,
    ImageInput,
    Manifest,
    Placement,
    Provenance,
    Quantization,
    Shortfall,
    Signature,
    TensorSpec,
    VariantReport,
    Word,
    decode,
    encode,
)

ROOT = Path(edge_sdk.__file__).parents[1]


@settings(max_examples=40)
@given(st.data())
def test_round_trip(
    word: type[Word], any_value: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(any_value)
    written = encode(value)
    assert decode(written, word, "x") == value
    assert encode(decode(written, word, "x")) == written
    assert written.endswith(b"\n")


def test_frozen_and_named(word: type[Word]) -> None:
    config = word.__struct_config__
    assert config.frozen
    assert not config.forbid_unknown_fields
    with pytest.raises(TypeError):
        word("positional")


def test_every_word_that_is_exported_was_met(all_words: set[type[Word]]) -> None:
    exported = [getattr(edge_sdk.spec, name) for name in edge_sdk.spec.__all__]
    structs = {kind for kind in exported if isinstance(kind, type) and issubclass(kind, Word)}
    assert structs - {Word} <= all_words


def test_the_order_of_a_mapping_does_not_show() -> None:
    one, other = (
        Provenance(source="m", source_format="onnx", source_sha256="0" * 64, tools=dict(tools))
        for tools in ([("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")])
    )
    assert encode(one) == encode(other)


def test_the_same_bytes_in_another_process() -> None:
    program = (
        "import sys; from edge_sdk.spec import *; "
        "sys.stdout.buffer.write(encode(Provenance(source='é', source_format='onnx', "
        "source_sha256='0' * 64, tools={k: k for k in {'b', 'a', 'd', 'c'}})))"
    )
    written = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in "012"
    }
    assert len(written) == 1
    assert "é".encode() in written.pop()


@pytest.mark.parametrize(
    "word",
    [
        ImageInput(input="x", size=(1, 1), mean=(math.nan,)),
        ImageInput(input="x", size=(1, 1), std=(math.inf,)),
        ImageInput(input="\udcff", size=(1, 1)),
        ImageInput(input="x", size=(1, 2, 3)),
        FileEntry(sha256="0" * 63, size=1),
        FileEntry(sha256="0" * 64 + "\n", size=1),
        FileEntry(sha256="0" * 64, size=-1),
    ],
    ids=str,
)
def test_what_could_not_be_read_back_is_not_written(word: Word) -> None:
    with pytest.raises(UsageError, match=f"This {type(word).__name__} cannot be written"):
        encode(word)


def test_a_measurement_that_is_not_finite_is_none() -> None:
    """A variant that answers NaN is refused, and the report of it must still be readable."""
    missed = Shortfall(limit="greatest difference", measured=math.inf, required=0.1)
    assert decode(encode(missed), Shortfall, "x").measured is None
    likeness = Agreement(samples=1, on="random", checked_by="x", max_difference=math.nan)
    assert decode(encode(likeness), Agreement, "x").max_difference is None


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe{}",
        b'{"scale": 1.0}',
        b'{"scale": "1", "zero_point": 0}',
        b'{"scale": 1e999, "zero_point": 0}',
        b'{"scale": NaN, "zero_point": 0}',
        b'{"scale": 1.0, "zero_point": ' + b"9" * 5000 + b"}",
        b'{"scale": 1.0, "zero_point": 0, "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"scale": 1.0, "zero_point": 0} trailing',
    ],
    ids=lambda damaged: repr(damaged[:36]),
)
def test_damaged_bytes_are_said_to_be(damaged: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"^q\.json cannot be read: .+\.") as raised:
        decode(damaged, Quantization, "q.json")
    assert raised.value.hint


def test_text_that_is_not_utf8() -> None:
    with pytest.raises(ArtifactError, match=r"(?i)utf-8"):
        decode(b'{"limit": "\xff", "measured": 1.0, "required": 1.0}', Shortfall, "x")


@given(st.binary(max_size=200))
def test_any_bytes_at_all(data: bytes) -> None:
    with pytest.raises(ArtifactError):
        decode(data, Manifest, "manifest.json")


def test_spec_is_pure() -> None:
    """No numpy, and no module that could do IO, is imported for the words."""
    program = "import sys; import edge_sdk.spec; print(*sorted(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split()
    assert "msgspec" in found
    assert not {"numpy", "edge_sdk.artifact", "edge_sdk.files", "edge_sdk.backends"} & set(found)


def test_spec_imports_only_itself_stdlib_and_msgspec() -> None:
    for path in Path(edge_sdk.spec.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                ours = name == "edge_sdk.errors" or name.startswith("edge_sdk.spec")
                assert ours or name.split(".")[0] in {*sys.stdlib_module_names, "msgspec"}, path


def test_tensor_spec() -> None:
    spec = TensorSpec(name="image", dtype="float32", shape=("batch", 28, 28))
    assert str(spec) == "image: float32 batchx28x28"
    assert str(TensorSpec(name="loss", dtype="float32", shape=())) == "loss: float32 scalar"
    assert spec.accepts((1, 28, 28))
    assert spec.accepts((7, 28, 28))
    assert not spec.accepts((1, 28, 27))
    assert not spec.accepts((28, 28))


def test_placement() -> None:
    placement = Placement(
        backend="litert",
        backend_version="2.3.0",
        requested=("gpu", "xnnpack"),
        attempts=(
            Attempt(delegate="gpu", active=False, reason="no such library"),
            Attempt(delegate="xnnpack", active=True, operations=3),
            Attempt(delegate="cpu", active=True, operations=None),
        ),
        operations=4,
        threads=2,
    )
    assert placement.actual == ("xnnpack", "cpu")
    assert [a.delegate for a in placement.refused] == ["gpu"]
    assert str(placement) == (
        "litert 2.3.0: xnnpack 3/4 ops, cpu\n  gpu refused: no such library\n"
        "  an unknown part of the model falls back to xnnpack and cpu"
    )
    nowhere = msgspec.structs.replace(placement, attempts=())
    assert str(nowhere) == "litert 2.3.0: nothing runs"


def test_what_a_fallback_costs_is_told() -> None:
    def fallback(*attempts: Attempt, operations: int | None = 10) -> str:
        return Placement(
            backend="litert",
            backend_version="2.3.0",
            requested=("gpu", "xnnpack"),
            attempts=attempts,
            operations=operations,
            threads=1,
        ).fallback

    whole = Attempt(delegate="gpu", active=True, operations=10)
    assert fallback(whole, Attempt(delegate="xnnpack", active=False, reason="nothing left")) == ""
    assert fallback(whole, Attempt(delegate="xnnpack", active=True, operations=0)) == ""
    gpu = Attempt(
        delegate="gpu",
        active=True,
        operations=8,
        partitions=2,
        handed_over_bytes=64,
        kinds={"A": 8},
    )
    rest = (
        Attempt(delegate="xnnpack", active=True, operations=1, kinds={"ADD": 1}, partitions=1),
        Attempt(delegate="cpu", active=True, operations=1, kinds={"ADD": 1}),
    )
    assert fallback(gpu, *rest) == (
        "2 of 10 operations (20 %) fall back to xnnpack and cpu: ADD 2; "
        "gpu has 2 pieces of the model, 64 bytes handed over at every run"
    )


def test_results_read_well() -> None:
    top = (ClassScore(index=0, label="cat", score=0.876), ClassScore(index=1, label="d", score=0.1))
    assert str(Classes(top=top)) == "cat 0.88, d 0.10"
    box = Box(left=0, top=0, right=1, bottom=1, score=0.5, index=0, label="face")
    assert str(Boxes(found=(box,))) == "face 0.50"
    assert str(Boxes(found=())) == "nothing found"


def test_a_report_passes_if_something_was_asked_and_nothing_refused() -> None:
    def report(*statuses: str) -> ConversionReport:
        return ConversionReport(
            name="m",
            version="1.0.0",
            signature=Signature(inputs=(), outputs=()),
            provenance=Provenance(source="m", source_format="x", source_sha256="", tools={}),
            source_size=1,
            variants=tuple(
                VariantReport(id="a", format="onnx", recipe="fp32", status=status)
                for status in statuses
            ),
        )

    assert report("converted", "wrapped").passed
    assert not report("converted", "refused").passed
    assert not report().passed


def test_a_shortfall_says_by_how_much() -> None:
    missed = Shortfall(limit="argmax", measured=0.98, required=0.999)
    assert str(missed) == "argmax is 0.98, and must be 0.999"
    missed = Shortfall(limit="difference", measured=None, required=0.1)
    assert str(missed) == "difference is not finite, and must be 0.1"
