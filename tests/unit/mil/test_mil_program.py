"""What a program says of itself, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import get_new_symbol, types
from coremltools.converters.mil.mil.operation import mil_list
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

from converters.mil import MilProgram
from converters.mil.graph import Graph, Node
from converters.mil.ops import EVALUATORS
from converters.mil.plan import site_of
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.spec import TensorSpec

# coremltools leaves its temporary folders to the garbage collector, which complains.
pytestmark = pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")

X = np.arange(6, dtype=np.float32).reshape(1, 6)


@pytest.fixture(scope="module")
def package(program, tmp_path_factory) -> Path:
    """A dense layer whose weights are big enough to stand in the weights file."""

    def build(image):
        weight = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
        return mb.relu(x=mb.linear(x=image, weight=weight), name="scores")

    path = tmp_path_factory.mktemp("mil") / "dense.mlpackage"
    ct.convert(
        program(build, {"image": X}),
        source="milinternal",
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    ).save(str(path))
    return path


@pytest.fixture
def broken(package, tmp_path) -> Path:
    return Path(shutil.copytree(package, tmp_path / "broken.mlpackage"))


def test_a_package_tells_its_signature_and_operations(package):
    program = MilProgram.load(package)
    assert program.signature.inputs == (TensorSpec(name="image", dtype="float32", shape=(1, 6)),)
    assert program.signature.outputs == (TensorSpec(name="scores", dtype="float32", shape=(1, 40)),)
    assert dict(program.operations) == {"linear": 1, "relu": 1}
    assert program.unchecked == ()
    assert program.run({"image": X})["scores"].shape == (1, 40)


def test_declared_half_precision_is_rounded_to(program):
    def build(x):
        return mb.add(x=x, y=np.float16(1), name="y")

    half = MilProgram(program(build, {"x": X.astype(np.float16)}))
    assert [t.dtype for t in (*half.signature.inputs, *half.signature.outputs)] == ["float16"] * 2
    (y,) = half.run({"x": np.full((1, 6), 2048.9, np.float32)}).values()
    assert y.dtype == np.float16
    # 2048.9 is given as 2048; 2049 lies between two halves, of which 2048 is even.
    np.testing.assert_array_equal(y, np.full((1, 6), 2048))


def unevaluated(x: Any) -> Any:
    return mb.l2_pool(x=x, kernel_sizes=[2, 2], pad_type="valid")


UNDOCUMENTED = {
    "l2_pool": unevaluated,
    "resize_nearest_neighbor": lambda x: mb.resize_nearest_neighbor(
        x=x, target_size_height=5, target_size_width=8
    ),
    "upsample_nearest_neighbor": lambda x: mb.upsample_nearest_neighbor(
        x=x, scale_factor_height=1.5, scale_factor_width=2.0
    ),
    "upsample_bilinear": lambda x: mb.upsample_bilinear(
        x=x, scale_factor_height=2, align_corners=False, half_pixel_centers=False
    ),
    "resize": lambda x: mb.resize(
        x=x, shape=[8, 8], resized_dims=np.uint32(2), interpolation_mode="NEAREST_NEIGHBOR"
    ),
    "real_div": lambda x: mb.real_div(x=mb.cast(x=x, dtype="int32"), y=2),
}


@pytest.mark.parametrize("name", UNDOCUMENTED)
def test_what_is_not_documented_is_not_guessed(program, name):
    def build(x):
        return mb.relu(x=mb.cast(x=UNDOCUMENTED[name](x), dtype="fp32"))

    x = np.ones((1, 1, 4, 4), np.float32)
    made = MilProgram(program(build, {"x": x}))
    assert made.unchecked == (name,)
    assert not made.batched
    assert made.operations[name] == 1
    for run in (made.run, made.run_many):
        with pytest.raises(ConversionError, match=name) as caught:
            run({"x": x})
        assert caught.value.hint


def test_control_flow_is_counted_inside_and_out_and_not_run(program):
    def build(x):
        return mb.cond(
            pred=mb.greater(x=mb.reduce_sum(x=x), y=0.0),
            _true_fn=lambda: mb.relu(x=x),
            _false_fn=lambda: mb.sigmoid(x=x),
        )

    made = MilProgram(program(build, {"x": X}))
    assert made.unchecked == ("cond",)
    assert {"cond", "relu", "sigmoid", "greater"} <= made.operations.keys()


def test_an_input_that_an_evaluator_does_not_know_makes_it_unchecked():
    """A later Core ML may add parameters that change what an operation means."""
    graph = Graph(
        nodes=(Node("relu", "later", {"x": 0, "sharpness": 1}, (2,)),),
        values=tuple(TensorSpec(name=n, dtype="float32", shape=(1, 6)) for n in "xsy"),
        constants={1: np.float32(2)},
        inputs=(0,),
        outputs=(2,),
    )
    assert not EVALUATORS["relu"].knows(site_of(graph, graph.nodes[0]))


def test_no_package(tmp_path):
    with pytest.raises(ConversionError, match="no Core ML package"):
        MilProgram.load(tmp_path / "none.mlpackage")


def damage_manifest(package: Path) -> None:
    (package / "Manifest.json").write_text("{")


def lose_manifest(package: Path) -> None:
    (package / "Manifest.json").unlink()


def cut_model(package: Path) -> None:
    (model,) = package.rglob("model.mlmodel")
    model.write_bytes(model.read_bytes()[:-40])


def text_model(package: Path) -> None:
    (model,) = package.rglob("model.mlmodel")
    model.write_text("not a model at all")


def empty_model(package: Path) -> None:
    (model,) = package.rglob("model.mlmodel")
    model.write_bytes(b"")


def lose_weights(package: Path) -> None:
    (weights,) = package.rglob("weight.bin")
    weights.unlink()


def cut_weights(package: Path) -> None:
    (weights,) = package.rglob("weight.bin")
    weights.write_bytes(weights.read_bytes()[:100])


@pytest.mark.parametrize(
    "harm",
    [
        damage_manifest,
        lose_manifest,
        cut_model,
        text_model,
        empty_model,
        lose_weights,
        cut_weights,
    ],
)
def test_a_damaged_package_is_refused_with_its_cause(broken, harm):
    harm(broken)
    with pytest.raises(ConversionError, match=r"broken\.mlpackage cannot be read") as caught:
        MilProgram.load(broken)
    assert caught.value.hint
    assert caught.value.__cause__ is not None


def test_a_file_that_is_no_package(tmp_path):
    (tmp_path / "text.mlpackage").write_text("hello")
    with pytest.raises(ConversionError, match="cannot be read"):
        MilProgram.load(tmp_path / "text.mlpackage")


def test_a_neural_network_is_no_ml_program(tmp_path):
    array = datatypes.Array(1, 2, 2)
    builder = NeuralNetworkBuilder([("x", array)], [("y", array)])
    builder.add_activation("relu", "RELU", "x", "y")
    path = tmp_path / "old.mlmodel"
    ct.utils.save_spec(builder.spec, str(path))
    with pytest.raises(ConversionError, match="ML program") as caught:
        MilProgram.load(path)
    assert caught.value.__cause__ is not None


def test_a_program_without_its_default_function(program):
    def build(x):
        return mb.relu(x=x)

    made = program(build, {"x": X})
    made.default_function_name = "other"
    with pytest.raises(ConversionError, match="no function 'other', only main"):
        MilProgram(made)


def test_outputs_that_are_not_tensors(program):
    def build(x):
        return mb.classify(probabilities=x, classes=mb.const(val=mil_list(list("abcdef"))))

    with pytest.raises(ConversionError, match="not a tensor"):
        MilProgram(program(build, {"x": X}))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "takes image; it was given nothing"),
        ({"picture": X}, "it was given picture"),
        ({"image": X, "more": X}, "it was given image, more"),
        ({"image": X[0]}, r"image: float32 1x6 .* got shape \(6,\)"),
        ({"image": X[:, :5]}, r"got shape \(1, 5\)"),
        ({"image": X.astype(np.complex64)}, "got complex64"),
        ({"image": np.array([list("abcdef")])}, "got <U1"),
    ],
)
def test_wrong_inputs_are_the_callers(package, inputs, message):
    with pytest.raises(UsageError, match=message):
        MilProgram.load(package).run(inputs)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 5), np.float32), r"image: float32 samplesx6 .* got shape \(3, 5\)"),
        (np.zeros((0, 6), np.float32), r"\[0\] samples"),
        (np.zeros(6, np.float32), r"got shape \(6,\)"),
    ],
)
def test_wrong_samples_are_the_callers(package, x, message):
    with pytest.raises(UsageError, match=message):
        MilProgram.load(package).run_many({"image": x})


def test_samples_must_be_as_many_for_each_input(program):
    def build(x, y):
        return mb.add(x=x, y=y)

    made = MilProgram(program(build, {"x": X, "y": X}))
    with pytest.raises(UsageError, match=r"\[2, 3\] samples"):
        made.run_many({"x": np.zeros((2, 6), np.float32), "y": np.zeros((3, 6), np.float32)})


def test_integers_are_welcome_where_fractions_are_asked_for(package):
    program = MilProgram.load(package)
    whole = program.run({"image": X.astype(np.int32)})["scores"]
    np.testing.assert_array_equal(whole, program.run({"image": X})["scores"])


def test_an_operation_that_cannot_be_computed_is_named(program):
    def build(x, i):
        return mb.gather(x=x, indices=i, axis=1, name="pick")

    made = MilProgram(program(build, {"x": X, "i": np.zeros(2, np.int32)}))
    with pytest.raises(ConversionError, match="gather 'pick'") as caught:
        made.run({"x": X, "i": np.array([0, 6], np.int32)})
    assert isinstance(caught.value.__cause__, IndexError)


def test_outputs_are_the_callers_own(package):
    program = MilProgram.load(package)
    first = program.run({"image": X})["scores"]
    kept = first.copy()
    first[:] = -1
    np.testing.assert_array_equal(program.run({"image": X})["scores"], kept)


def test_shapes_left_open(program):
    """A program for any batch: the open axis has a name, and samples are run one by one."""

    @mb.program(input_specs=[mb.TensorSpec((get_new_symbol(), 6), types.fp32)])
    def open_ended(x):
        return mb.relu(x=x)

    made = MilProgram(open_ended)
    (spec,) = made.signature.inputs
    assert isinstance(spec.shape[0], str)
    x = np.array([[-1.0] * 6, [2.0] * 6, [3.0] * 6], np.float32)
    for outputs in (made.run({"x": x}), made.run_many({"x": x})):
        np.testing.assert_array_equal(next(iter(outputs.values())), np.maximum(x, 0))


def test_lengths_left_open_leave_a_reshape_unproven(program):
    @mb.program(input_specs=[mb.TensorSpec((1, get_new_symbol(), 2), types.fp32)])
    def open_ended(x):
        return mb.reshape(x=x, shape=[1, -1])

    made = MilProgram(open_ended)
    assert not made.batched
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    (flat,) = made.run_many({"x": x}).values()
    np.testing.assert_array_equal(flat, x.reshape(2, 6))


def test_every_evaluator_is_tested():
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    untested = [n for n in EVALUATORS if f"mb.{n}(" not in tests and f'"{n}"' not in tests]
    assert untested == []
