"""MIL programs built by hand, so that every operation can be met with every parameter."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types

from converters.mil import MilProgram

Build = Callable[..., Any]

_TYPES = {
    "float32": types.fp32,
    "float16": types.fp16,
    "int32": types.int32,
    "uint8": types.uint8,
    "bool": types.bool,
}


def coremltools_program(
    build: Build, inputs: Mapping[str, np.ndarray], opset: Any = ct.target.iOS17
) -> Any:
    """The program whose body ``build`` writes; its parameters are the inputs, of those shapes."""
    specs = [mb.TensorSpec(a.shape, _TYPES[str(a.dtype)]) for a in inputs.values()]
    return mb.program(input_specs=specs, opset_version=opset)(build)


@pytest.fixture(scope="session")
def program() -> Callable[..., Any]:
    return coremltools_program


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., Any]:
    """Build a program around an operation and evaluate it: one output, or a list of several."""

    def evaluate(build: Build, opset: Any = ct.target.iOS17, **inputs: np.ndarray) -> Any:
        outputs = MilProgram(coremltools_program(build, inputs, opset)).run(inputs)
        arrays = list(outputs.values())
        return arrays[0] if len(arrays) == 1 else arrays

    return evaluate


@pytest.fixture(scope="module", autouse=True)
def swept() -> Iterator[None]:
    """Let what coremltools has left to the garbage collector go here, not in another's test."""
    yield
    gc.collect()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)
