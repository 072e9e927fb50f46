"""The cache of variants: the same comes without the work, anything else is made."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_keras

from converters import convert
from converters.cache import VariantCache
from converters.engines import quiet
from converters.trunks.tensorflow import TfliteTrunk
from edge_sdk.errors import ConversionError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the entries."""
    monkeypatch.setattr("converters.cache.cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "conversions"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    with quiet():
        tiny_keras.classifier().save(tmp_path / "m.keras")
    return tmp_path / "m.keras"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes each float build that TensorFlow makes."""
    notes = []
    build = TfliteTrunk.build

    def noting(self: TfliteTrunk) -> bytes:
        notes.append("made")
        return build(self)

    monkeypatch.setattr(TfliteTrunk, "build", noting)
    return notes


def test_the_same_again_is_not_made_again(cache, model, made, tmp_path):
    formats, recipes = ["tflite", "coreml", "onnx"], ["fp32", "int8-weights"]
    first = convert(model, tmp_path / "a-1.0.0.edge", formats=formats, recipes=recipes, name="m")
    assert first.cached == ()
    assert len(made) == 1
    again = convert(model, tmp_path / "b-1.0.0.edge", formats=formats, recipes=recipes, name="m")
    assert len(made) == 1
    assert sorted(again.cached) == sorted(v.id for v in first.report.variants)
    assert again.digest == first.digest  # proven anew, to the same numbers
    assert len(list(cache.iterdir())) == len(first.report.variants)


def test_anything_else_is_made(cache, model, made, tmp_path):
    out = tmp_path / "m.edge"
    convert(model, out, recipes=["fp32"])
    convert(model, out, recipes=["fp32"], shapes={"image": (1, 8, 8, 1)})  # no axis left open
    assert convert(model, out, recipes=["fp16"]).cached == ()
    assert convert(model, out, recipes=["fp32"], cache=False).cached == ()
    made_so_far = len(made)
    with quiet():
        tiny_keras.classifier(seed=5).save(model)
    assert convert(model, out, recipes=["fp32"]).cached == ()
    assert len(made) == made_so_far + 1


def test_other_calibration_is_another_variant(cache, model, made, tmp_path):
    x = tiny_keras.inputs_of(tiny_keras.classifier(), 24)["image"]
    out = tmp_path / "m.edge"

    def converted(data: np.ndarray) -> tuple[str, ...]:
        asked = ["int8", "fp16"]
        return convert(model, out, recipes=asked, calibrate={"x": data}).cached

    assert converted(x) == ()
    assert converted(x) == ("tflite-int8", "tflite-fp16")
    assert converted(x[:20]) == ("tflite-fp16",)


def test_a_model_in_memory_is_not_cached(cache, tmp_path):
    model = tiny_keras.classifier()
    convert(model, tmp_path / "m.edge", recipes=["fp32"])
    assert not cache.exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "not one of ours"])
def test_a_damaged_entry_is_made_anew(cache, model, made, tmp_path, damage):
    out = tmp_path / "m.edge"
    digest = convert(model, out, recipes=["fp32"]).digest
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "flipped": whole[:-6000] + bytes([whole[-6000] ^ 1]) + whole[-5999:],
            "empty": b"",
            "not one of ours": b"x" * 4096,
        }[damage]
    )
    again = convert(model, out, recipes=["fp32"])
    assert again.cached == ()
    assert again.digest == digest
    assert entry.read_bytes() == whole
    assert convert(model, out, recipes=["fp32"]).cached == ("tflite-fp32",)


def test_a_wrong_entry_of_the_right_digest_is_still_proven(cache, model, made, tmp_path):
    """Whoever can write the cache can spoil a conversion, not an artifact."""
    out = tmp_path / "m.edge"
    convert(model, out, recipes=["fp32"])
    (entry,) = cache.iterdir()
    other = tmp_path / "other.keras"
    with quiet():
        tiny_keras.classifier(seed=9).save(other)
    convert(other, out, recipes=["fp32"])
    (foreign,) = set(cache.iterdir()) - {entry}
    shutil.copy(foreign, entry)
    out.unlink()
    conversion = convert(model, out, recipes=["fp32"])
    assert not conversion.passed
    assert not out.exists()


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(cache, model, tmp_path):
    cache.parent.write_text("a file is in the way")
    assert convert(model, tmp_path / "m.edge", recipes=["fp32"]).passed


def test_those_longest_unused_go(tmp_path):
    variant = tmp_path / "v.tflite"
    variant.write_bytes(bytes(50_000))
    kept = VariantCache(tmp_path / "cache", limit_bytes=150_000)
    for age, key in enumerate(["a", "b"]):
        kept.keep(key, variant)
        os.utime(tmp_path / "cache" / f"{key}.variant", (age, age))
    assert kept.take("a", tmp_path / "used") is not None
    kept.keep("c", variant)
    assert sorted(path.stem for path in (tmp_path / "cache").iterdir()) == ["a", "c"]


def test_a_refused_variant_is_not_kept(cache, model, monkeypatch, tmp_path):
    def refuse(self: TfliteTrunk) -> bytes:
        raise ConversionError("no")

    monkeypatch.setattr(TfliteTrunk, "build", refuse)
    assert not convert(model, tmp_path / "m.edge", recipes=["fp32"]).passed
    assert not cache.exists()
