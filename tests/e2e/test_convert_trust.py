"""A SavedModel is a program: what reaches for files is not executed for the asking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from converters.engines import engine, quiet
from converters.sources.trust import check_operations
from edge_sdk.errors import UsageError


@pytest.fixture(scope="module")
def tf() -> Any:
    return engine("tensorflow")


def saved(tf: Any, folder: Path, body: Any, **more: Any) -> Path:
    """A SavedModel of ``x`` (four numbers) to ``y``, with a variable in it."""
    module = tf.Module()
    module.weight = tf.Variable([1.0, 2.0, 3.0, 4.0])
    spec = tf.TensorSpec([None, 4], tf.float32, name="x")
    module.call = tf.function(
        lambda x: {"y": body(x * module.weight)}, input_signature=[spec], autograph=False
    )
    for name, value in more.items():
        setattr(module, name, value)
    with quiet():
        tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call})
    return folder


def writing(tf: Any, target: Path) -> Any:
    def body(x: Any) -> Any:
        with tf.control_dependencies([tf.io.write_file(str(target), "was here")]):
            return tf.identity(x)

    return body


def test_one_that_writes_a_file_is_not_run(edge, tf, tmp_path):
    target = tmp_path / "written"
    model = saved(tf, tmp_path / "model", writing(tf, target))
    done = edge("convert", model, "-o", tmp_path / "out.edge")
    assert done.code == 2
    assert "WriteFile" in done.err
    assert "--trust-code" in done.err
    assert not target.exists()
    assert not (tmp_path / "out.edge").exists()


def test_one_that_is_trusted_is_run(edge, tf, tmp_path):
    target = tmp_path / "written"
    model = saved(tf, tmp_path / "model", writing(tf, target))
    done = edge("convert", model, "-o", tmp_path / "out.edge", "--trust-code")
    assert target.read_text() == "was here"
    assert "--trust-code" not in done.err


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("ReadFile", lambda tf, x: x + tf.cast(tf.strings.length(tf.io.read_file("/x")), x.dtype)),
        ("MatchingFiles", lambda tf, x: x + tf.cast(tf.size(tf.io.matching_files("/*")), x.dtype)),
        ("EagerPyFunc", lambda tf, x: tf.ensure_shape(tf.py_function(abs, [x], x.dtype), x.shape)),
        ("RestoreV2", lambda tf, x: x + tf.raw_ops.RestoreV2(
            prefix="/x", tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32])[0]),
        (
            "WriteFile",
            lambda tf, x: tf.cond(
                tf.reduce_sum(x) > 0,
                lambda: tf.identity(x),
                lambda: x + tf.cast(tf.io.write_file("/x", "") is None, x.dtype),
            ),
        ),
    ],
)  # fmt: skip
def test_what_is_refused(tf, tmp_path, operation, body):

    model = saved(tf, tmp_path / "model", lambda x: body(tf, x))
    with pytest.raises(UsageError, match=operation):
        check_operations(model)


def test_a_function_for_saving_that_something_else_calls_is_no_excuse(tf, tmp_path):
    """The graph's own saver may save; nothing reachable from a signature may."""
    model = saved(tf, tmp_path / "model", lambda x: x)
    file = model / "saved_model.pb"
    proto = engine("tensorflow.core.protobuf.saved_model_pb2").SavedModel.FromString(
        file.read_bytes()
    )
    library = proto.meta_graphs[0].graph_def.library
    names = [f.signature.name for f in library.function]
    restore = next(name for name in names if "traced_restore" in name)
    check_operations(model)
    caller = next(f for f in library.function if "signature_wrapper" in f.signature.name)
    caller.node_def.add(name="sneaky", op="PartitionedCall").attr["f"].func.name = restore
    file.write_bytes(proto.SerializeToString())

    with pytest.raises(UsageError, match="RestoreV2"):
        check_operations(model)


def test_an_honest_one_needs_no_trust(tf, tmp_path):
    check_operations(saved(tf, tmp_path / "model", tf.nn.softmax))
