"""Engines of other people: made known by ``register``, and what it refuses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest

from edge_sdk import backends
from edge_sdk.errors import UsageError


@pytest.fixture
def module() -> Iterator[str]:
    made = ModuleType("an_engine_of_ours")
    made.BACKEND = SimpleNamespace(name="ours", formats=("onnx",))  # type: ignore[attr-defined]
    sys.modules[made.__name__] = made
    readers = dict(backends.READERS)
    yield made.__name__
    del sys.modules[made.__name__]
    backends.MODULES.pop("ours", None)
    backends.READERS.update(readers)


def test_it_comes_after_all_others_and_only_once(module: str) -> None:
    backends.register("ours", module)
    backends.register("ours", module)
    assert backends.backend("ours").name == "ours"
    assert backends.READERS["onnx"] == ("onnxruntime", "ours")
    assert "ours" not in backends.READERS["tflite"]
    assert list(backends.MODULES)[-1] == "ours"


def test_names_that_are_taken_or_not_there(module: str) -> None:
    with pytest.raises(UsageError, match="'litert' already"):
        backends.register("litert", module)
    with pytest.raises(UsageError, match="no BACKEND called 'theirs'"):
        backends.register("theirs", module)
    with pytest.raises(UsageError, match="no BACKEND called 'x'"):
        backends.register("x", "json")
    assert not {"theirs", "x"} & set(backends.MODULES)
