"""Names and shapes that Core ML cannot have, and how the source's are kept beside them."""

from __future__ import annotations

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from hypothesis import given
from hypothesis import strategies as st

from converters.engines import quiet
from converters.trunks.names import rename_features
from edge_sdk.backends.coreml import CoreMlModel
from edge_sdk.backends.coreml_terms import KEY, TAKEN, Terms, metadata_of, terms_in, terms_of
from edge_sdk.spec import Placement, TensorSpec


def tensor(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=shape)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("x", "x"),
        ("save_infer_model/scale_0.tmp_1", "save_infer_model_scale_0_tmp_1"),
        ("serving_default_input_2:0", "serving_default_input_2_0"),
        ("2", "_2"),
        ("state", "state_"),
        ("é", "_"),
        ("", "_"),
    ],
)
def test_the_nearest_name(name, plain):
    assert list(terms_of([tensor(name, 1)])) == [plain]


def test_where_nothing_differs_nothing_is_said():
    assert metadata_of(terms_of([tensor("x", 1, 3), tensor("y", 2)])) == ""


def test_names_that_become_one_are_told_apart_in_order():
    found = terms_of([tensor("a/b", 1), tensor("a.b", 1), tensor("a_b", 1), tensor("a/b", 1)])
    assert list(found) == ["a_b", "a_b_2", "a_b_3", "a_b_4"]
    assert [term.name for term in found.values()] == ["a/b", "a.b", "a_b", "a/b"]


@given(st.lists(st.tuples(st.text(max_size=8), st.booleans()), max_size=6))
def test_what_is_written_is_read(names):
    found = terms_of([tensor(name, *([1] * axes)) for name, axes in names])
    assert len(found) == len(names)
    assert all(name.isidentifier() and name.isascii() and name not in TAKEN for name in found)
    other = {name: term for name, term in found.items() if term != Terms(name=name)}
    assert terms_in({KEY: metadata_of(found) or "{}"}) == other


@pytest.mark.parametrize("said", ["", "no json", "[]", '{"x": 3}'])
def test_metadata_that_is_not_ours_is_none(said):
    assert terms_in({KEY: said}) == {}
    assert terms_in({}) == {}


def _model(spec: ct.proto.Model_pb2.Model, weights: str) -> ct.models.MLModel:
    return ct.models.MLModel(spec, weights_dir=weights, skip_model_load=True)


@pytest.fixture(scope="module")
def doubled() -> ct.models.MLModel:
    """A program with values called ``x``, ``s`` and ``y`` that are neither inputs nor outputs."""

    @mb.program(
        input_specs=[mb.TensorSpec((1, 2)), mb.TensorSpec((1,))], opset_version=ct.target.iOS17
    )
    def program(a, b):
        x = mb.mul(x=a, y=np.float32(2), name="x")
        s = mb.add(x=x, y=b, name="s")
        return mb.mul(x=s, y=np.float32(3), name="y"), mb.sub(x=a, y=np.float32(1), name="z")

    with quiet():
        return ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS17,
            compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
        )


def test_a_value_inside_does_not_take_an_input_s_place(doubled, tmp_path):
    """Of ``a`` renamed to ``x`` those who read ``a`` would read the value that was ``x`` before."""
    from converters.mil import MilProgram

    inputs = {"a": np.float32([[1, 2]]), "b": np.float32([5])}
    with quiet():
        spec = doubled.get_spec()
        rename_features(ct, spec, ["a", "b", "y", "z"], ["x", "s", "z", "y"])
        _model(spec, doubled.weights_dir).save(str(tmp_path / "m.mlpackage"))
    made = MilProgram.load(tmp_path / "m.mlpackage").run({"x": inputs["a"], "s": inputs["b"]})
    np.testing.assert_array_equal(made["z"], 3 * (2 * inputs["a"] + inputs["b"]))
    np.testing.assert_array_equal(made["y"], inputs["a"] - 1)


def test_core_ml_s_backend_speaks_in_the_source_s_terms(doubled):
    terms = terms_of(
        [tensor("p/x", 1, 2), tensor("state"), tensor("out.1", 1, 2), tensor("z", 1, 2)]
    )
    with quiet():
        spec = doubled.get_spec()
        rename_features(ct, spec, ["a", "b", "y", "z"], list(terms))
        spec.description.metadata.userDefined[KEY] = metadata_of(terms)
        loaded = _model(spec, doubled.weights_dir)
    placement = Placement(
        backend="coreml", backend_version="", requested=(), attempts=(), operations=None, threads=1
    )
    signature = CoreMlModel(loaded, placement).signature
    assert [(t.name, t.shape) for t in signature.inputs] == [("p/x", (1, 2)), ("state", ())]
    assert [t.name for t in signature.outputs] == ["out.1", "z"]
