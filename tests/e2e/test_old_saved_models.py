"""SavedModels that only a session loads: of TensorFlow 1, and of objects that are no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import convert
from converters.engines import engine, quiet
from converters.sources import open_source
from edge_sdk import load
from edge_sdk.errors import UsageError

RNG = np.random.default_rng(5)
WEIGHTS = RNG.normal(0, 0.6, (4, 3)).astype(np.float32)
X = RNG.random((16, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def tf() -> Any:
    return engine("tensorflow")


def saved_by_a_session(
    tf: Any, folder: Path, body: Callable[[Any, Any], Any], *, tags: tuple[str, ...] = ("serve",)
) -> np.ndarray:
    """Write ``y = body(x)`` as TensorFlow 1 does; answers what its session answers to ``X``."""
    v1 = tf.compat.v1
    graph = tf.Graph()
    with quiet(), graph.as_default(), v1.Session(graph=graph) as session:
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        y = body(v1, x)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            [tags[0]],
            signature_def_map={"predict": signature},
            main_op=v1.tables_initializer(),
        )
        for tag in tags[1:]:
            builder.add_meta_graph(tag.split("+"), signature_def_map={"predict": signature})
        builder.save()
        fed = [op for op in graph.get_operations() if op.type == "Placeholder"]
        return np.zeros(0) if len(fed) > 1 else np.asarray(session.run(y, {x: X}))


def weights(v1: Any, *, resource: bool = False) -> Any:
    return v1.get_variable("weights", initializer=WEIGHTS, use_resource=resource)


def dense(v1: Any, x: Any) -> Any:
    """With what training leaves behind: a rate of dropout, a saver of one's own, a file's name."""
    tf = engine("tensorflow")
    rate = v1.placeholder_with_default(0.0, [], name="rate")
    y = tf.nn.tanh(x @ weights(v1) + v1.get_variable("bias", [3], use_resource=True)) * (1 - rate)
    v1.train.Saver()
    tf.io.read_file("photo.jpg")
    return y


def rewritten(folder: Path, change: Callable[[Any], None]) -> Path:
    """The SavedModel with its message changed."""
    file = folder / "saved_model.pb"
    words = engine("tensorflow.core.protobuf.saved_model_pb2")
    proto = words.SavedModel.FromString(file.read_bytes())
    change(proto)
    file.write_bytes(proto.SerializeToString())
    return folder


def saved_by_objects(tf: Any, folder: Path) -> Path:
    """One of TensorFlow 2, calling a function of its own, with a branch that stays."""
    module = tf.Module()
    module.weights, module.momentum = tf.Variable(WEIGHTS), tf.Variable(WEIGHTS)

    @tf.function(autograph=False)
    def inner(x: Any) -> Any:
        return tf.cond(tf.reduce_sum(x) > 2, lambda: x @ module.weights, lambda: x[:, :3] * 2)

    spec = tf.TensorSpec([None, 4], tf.float32, name="x")
    module.call = tf.function(lambda x: {"y": inner(x)}, input_signature=[spec], autograph=False)
    with quiet():
        tf.saved_model.save(module, str(folder), signatures=module.call)
    return folder


def with_a_slot(proto: Any) -> None:
    """As of an optimizer of a class that is gone: TensorFlow 2 cannot add a slot to it."""
    graph = proto.meta_graphs[0].object_graph_def
    one, other = [n for n, node in enumerate(graph.nodes) if node.HasField("variable")]
    graph.nodes[0].slot_variables.add(
        original_variable_node_id=one, slot_name="m", slot_variable_node_id=other
    )


def test_to_every_format(tf, tmp_path):
    expected = saved_by_a_session(tf, tmp_path / "old", dense, tags=("serve", "serve+gpu"))
    np.savez(tmp_path / "x.npz", x=X)
    done = convert(
        tmp_path / "old",
        tmp_path / "old.edge",
        formats=["tflite", "coreml", "onnx"],
        recipes=["fp32"],
        evaluate=tmp_path / "x.npz",
    )
    assert done.passed
    assert [v.status for v in done.report.variants] == ["converted"] * 3
    np.testing.assert_allclose(
        open_source(tmp_path / "old").run({"x": X})["y"], expected, atol=1e-6
    )
    with load(tmp_path / "old.edge") as session:
        assert session.run({"x": X[:1]})["y"] == pytest.approx(expected[:1], abs=1e-5)


@pytest.mark.parametrize("resource", [False, True])
def test_either_kind_of_variable(tf, tmp_path, resource):
    expected = saved_by_a_session(
        tf, tmp_path / "old", lambda v1, x: x @ weights(v1, resource=resource), tags=("train",)
    )
    source = open_source(tmp_path / "old")
    np.testing.assert_allclose(source.run({"x": X})["y"], expected, atol=1e-6)
    assert str(source.signature.inputs[0]) == "x: float32 batchx4"


def test_objects_that_are_no_more(tf, tmp_path):
    """The same answers as its sound twin's, a branch and inner functions included."""
    sound = open_source(saved_by_objects(tf, tmp_path / "sound"))
    broken = rewritten(saved_by_objects(tf, tmp_path / "broken"), with_a_slot)
    with pytest.raises(AttributeError, match="add_slot"), quiet():
        tf.saved_model.load(str(broken))
    source = open_source(broken)
    for x in (X[:1], X[:1] * 9):
        expected, found = sound.run_one({"x": x})["y"], source.run_one({"x": x})["y"]
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert convert(broken, tmp_path / "b.edge", formats=["tflite"], recipes=["fp32"]).passed


def _table(v1: Any, x: Any) -> Any:
    tf = engine("tensorflow")
    pairs = tf.lookup.KeyValueTensorInitializer([0, 1], [5.0, 6.0])
    return x * tf.lookup.StaticHashTable(pairs, 0.0).lookup(tf.cast(x[:, :1], tf.int32))


def _loop(v1: Any, x: Any) -> Any:
    tf = engine("tensorflow")
    control = engine("tensorflow.python.ops.while_loop")
    v2 = engine("tensorflow.python.ops.control_flow_util")
    before, v2.ENABLE_CONTROL_FLOW_V2 = v2.ENABLE_CONTROL_FLOW_V2, False
    try:
        return control.while_loop(
            lambda i, _: i < 3, lambda i, a: (i + 1, tf.tanh(a)), [tf.constant(0), x]
        )[1]
    finally:
        v2.ENABLE_CONTROL_FLOW_V2 = before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (_table, "looks something up in a table"),
        (_loop, "holds a loop as TensorFlow 1 wrote them"),
        (lambda v1, x: x * v1.placeholder("float32", [], name="keep_prob"), "keep_prob"),
    ],
)
def test_what_is_no_function_of_its_inputs(tf, tmp_path, body, words):
    saved_by_a_session(tf, tmp_path / "old", lambda v1, x: body(v1, x) * weights(v1)[0, 0])
    with pytest.raises(UsageError, match=words) as refused:
        open_source(tmp_path / "old")
    assert refused.value.hint


def test_several_graphs_of_which_none_is_for_all(tf, tmp_path):
    saved_by_a_session(tf, tmp_path / "old", dense, tags=("train", "serve+tpu"))
    with pytest.raises(UsageError, match=r"2 graphs, tagged train; serve\+tpu"):
        open_source(tmp_path / "old")


def test_a_file_that_the_signature_reads_is_refused(tf, tmp_path):
    (tmp_path / "secret").write_text("x" * 7)
    name = str(tmp_path / "secret")

    def body(v1: Any, x: Any) -> Any:
        length = tf.strings.length(tf.io.read_file(name))
        return x @ weights(v1) + tf.cast(length, tf.float32)

    expected = saved_by_a_session(tf, tmp_path / "old", body)
    with pytest.raises(UsageError, match="ReadFile") as refused:
        open_source(tmp_path / "old")
    assert "--trust-code" in refused.value.hint
    trusted = open_source(tmp_path / "old", trust_code=True)
    np.testing.assert_allclose(trusted.run({"x": X})["y"], expected, atol=1e-6)


def _write_when_restoring(proto: Any, target: Path) -> None:
    graph = proto.meta_graphs[0].graph_def
    for name, text in (("name", str(target)), ("text", "was here")):
        constant = graph.node.add(name=name, op="Const")
        constant.attr["dtype"].type = 7
        constant.attr["value"].tensor.dtype = 7
        constant.attr["value"].tensor.tensor_shape.SetInParent()
        constant.attr["value"].tensor.string_val.append(text.encode())
    graph.node.add(name="write", op="WriteFile", input=["name", "text"])
    _restorer(proto).input.append("^write")


def _restore_from_elsewhere(proto: Any) -> None:
    graph = proto.meta_graphs[0].graph_def
    constant = graph.node.add(name="elsewhere", op="Const")
    constant.attr["dtype"].type = 7
    constant.attr["value"].tensor.dtype = 7
    constant.attr["value"].tensor.tensor_shape.SetInParent()
    constant.attr["value"].tensor.string_val.append(b"/elsewhere")
    node = next(n for n in graph.node if n.op == "RestoreV2" and n.name.startswith("save_1/"))
    node.input[0] = "elsewhere"


def _restorer(proto: Any) -> Any:
    graph = proto.meta_graphs[0]
    return next(n for n in graph.graph_def.node if n.name == graph.saver_def.restore_op_name)


def test_what_its_restoring_would_do_besides(tf, tmp_path):
    """A session runs the restoring, which no check of the signature would see."""
    target = tmp_path / "written"
    saved_by_a_session(tf, tmp_path / "old", dense)
    writing = rewritten(tmp_path / "old", lambda proto: _write_when_restoring(proto, target))
    with pytest.raises(UsageError, match="WriteFile"):
        open_source(writing)
    assert not target.exists()
    saved_by_a_session(tf, tmp_path / "other", dense)
    with pytest.raises(UsageError, match="RestoreV2"):
        open_source(rewritten(tmp_path / "other", _restore_from_elsewhere))


def test_restoring_by_a_function(tf, tmp_path):
    """TensorFlow 2 restores by calling one, with the checkpoint's name for an argument."""
    broken = rewritten(saved_by_objects(tf, tmp_path / "broken"), with_a_slot)

    def elsewhere(proto: Any) -> None:
        call = _restorer(proto)
        other = proto.meta_graphs[0].graph_def.node.add(name="elsewhere", op="Identity")
        other.attr["T"].type = 7
        other.input.append("unnamed")
        call.input[0] = "elsewhere"

    from converters.sources.trust import check_reached

    graph = engine("tensorflow.python.saved_model.loader_impl")
    (sound,) = graph.parse_saved_model(str(broken)).meta_graphs
    check_reached(broken, sound, [])
    (other,) = graph.parse_saved_model(str(rewritten(broken, elsewhere))).meta_graphs
    with pytest.raises(UsageError, match="RestoreV2"):
        check_reached(broken, other, [])
