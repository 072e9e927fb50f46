"""golden.npz: any tensor under any name, and nothing but plain numbers."""

from __future__ import annotations

import io
import math
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_sdk.artifact import Golden, container
from edge_sdk.artifact.golden import MAX_SAMPLES, pack, unpack
from edge_sdk.errors import ArtifactError, UsageError
from edge_sdk.files import sha256

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64",
]  # fmt: skip
NAMES = st.text(st.characters(codec="utf-8"), max_size=12)
X = np.arange(6, dtype=np.float32).reshape(2, 3)


@st.composite
def goldens(draw: st.DrawFn) -> Golden:
    samples = draw(st.integers(1, 3))
    arrays = st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3).map(
                lambda shape: (samples, *shape)
            ),
        )
    )
    outputs = draw(st.dictionaries(NAMES, arrays, min_size=1, max_size=3))
    limits = st.floats(0, allow_infinity=False, allow_nan=False)
    return Golden(
        inputs=draw(st.dictionaries(NAMES, arrays, min_size=1, max_size=3)),
        outputs=outputs,
        tolerance=draw(
            st.dictionaries(
                st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True),
                st.dictionaries(st.sampled_from(sorted(outputs)), limits, min_size=1),
                max_size=2,
            )
        ),
    )


@settings(max_examples=60)
@given(goldens())
def test_round_trip(golden: Golden) -> None:
    data = pack(golden)
    again = unpack(data, "golden.npz")
    for before, after in ((golden.inputs, again.inputs), (golden.outputs, again.outputs)):
        assert set(before) == set(after)
        for name, array in before.items():
            assert after[name].dtype == array.dtype
            np.testing.assert_array_equal(after[name], array)
    assert again.tolerance == golden.tolerance
    assert len(again) == len(golden)
    assert pack(again) == data


def test_numpy_reads_it_too() -> None:
    with np.load(io.BytesIO(pack(Golden({"a:0/b": X}, {"y": X > 2}, {"v": {"y": 0.5}})))) as arrays:
        assert sorted(arrays) == ["inputs/a%3A0%2Fb", "outputs/y", "tolerance/v/y"]
        np.testing.assert_array_equal(arrays["inputs/a%3A0%2Fb"], X)


@pytest.mark.parametrize(
    "name",
    ["serving_default_x:0", "a/b/c", "", ".", "..", "~", "é", "a%2Fb", "a b", "\0", "x" * 300],
    ids=repr,
)
def test_names_that_engines_give(name: str) -> None:
    again = unpack(pack(Golden({name: X}, {name: X}, {"v": {name: 1.0}})), "g")
    assert list(again.inputs) == list(again.outputs) == [name]
    assert again.tolerance == {"v": {name: 1.0}}


def test_names_that_differ_in_case_only() -> None:
    again = unpack(pack(Golden({"H": X, "h": X + 1}, {"y": X})), "g")
    np.testing.assert_array_equal(again.inputs["H"] + 1, again.inputs["h"])


def test_the_layout_in_memory_does_not_show() -> None:
    """Fortran order, strides, another byte order: the same numbers are the same bytes."""
    plain = pack(Golden({"x": X}, {"y": X}))
    for other in (np.asfortranarray(X), X.repeat(2, axis=1)[:, ::2], X.astype(">f4")):
        assert pack(Golden({"x": other}, {"y": X})) == plain


def test_the_order_of_names_does_not_show() -> None:
    one, other = {"a": X, "b": X}, {"b": X, "a": X}
    assert pack(Golden(one, one)) == pack(Golden(other, other))


def test_the_form_never_changes() -> None:
    """Old golden vectors must stay readable: this digest is never to be edited."""
    vectors = Golden({"x": X}, {"y": X.astype(np.int8)}, {"onnx-fp32": {"y": 0.25}})
    assert (
        sha256(pack(vectors)) == "d5743b04a289def843977ae03f430786b6fd4268ce7bed363658f898162da9f7"
    )


@pytest.mark.parametrize(
    ("inputs", "outputs", "tolerance", "why"),
    [
        ({}, {"y": X}, {}, "inputs and outputs"),
        ({"x": X}, {}, {}, "inputs and outputs"),
        ({"x": X}, {"y": X[:1]}, {}, r"one row per sample, but have \[1, 2\]"),
        ({"x": X[:0]}, {"y": X[:0]}, {}, "0 samples"),
        ({"x": np.zeros(17)}, {"y": np.zeros(17)}, {}, "17 samples, not 1 to 16"),
        ({"x": np.float32(1)}, {"y": X}, {}, "no axis of samples"),
        ({"x": np.array([1, "a"], object)}, {"y": X}, {}, "of type object"),
        ({"x": X}, {"y": np.array(["a", "b"])}, {}, "of type <U1"),
        ({"x": X}, {"y": np.array(["2026-01-01"] * 2, "M8[D]")}, {}, "of type datetime64"),
        ({"x": X}, {"y": np.zeros(2, [("a", "f4")])}, {}, "not of numbers"),
        ({"x": X}, {"y": X}, {"v": {"y": math.nan}}, "tolerance of v for 'y' is nan"),
        ({"x": X}, {"y": X}, {"v": {"y": math.inf}}, "tolerance of v for 'y' is inf"),
        ({"x": X}, {"y": X}, {"v": {"y": -0.1}}, "tolerance of v for 'y' is -0.1"),
    ],
)
def test_vectors_that_prove_nothing(inputs: Any, outputs: Any, tolerance: Any, why: str) -> None:
    with pytest.raises(UsageError, match=f"prove nothing: .*{why}") as raised:
        Golden(inputs, outputs, tolerance)
    assert "--golden none" in raised.value.hint


def npy(
    array: Any, header: str | None = None, *, version: bytes = b"\1\0", more: bytes = b""
) -> bytes:
    """An array as numpy would write it, or with another header before its bytes."""
    array = np.asarray(array)
    if header is None:
        header = (
            f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {array.shape}, }}"
        )
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + array.tobytes() + more


def archive(**members: bytes) -> bytes:
    """An otherwise good golden.npz; ``inputs__x`` stands for ``inputs/x.npy``."""
    file = io.BytesIO()
    good = {"inputs__x": npy(X), "outputs__y": npy(X)}
    contents = {
        f"{name.replace('__', '/')}.npy": content for name, content in {**good, **members}.items()
    }
    container.write(file, dict(sorted(contents.items())))
    return file.getvalue()


def test_the_forger_knows_our_form() -> None:
    assert archive() == pack(Golden({"x": X}, {"y": X}))


def header(descr: str = "<f4", order: str = "False", shape: str = "(2, 3)") -> str:
    return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"


FORGED = {
    "pickled objects": npy(np.zeros((2,)), header("|O", shape="(2,)")),
    "a pickle": pickle.dumps({"x": 1}),
    "an empty file": b"",
    "a text": b"hello, world",
    "fortran order": npy(X, header(order="True")),
    "a newer version": npy(X, version=b"\2\0"),
    "text": npy(np.array(["ab", "cd"])),
    "bytes": npy(np.array([b"ab", b"cd"])),
    "times": npy(np.array(["2026-01-01"] * 2, "M8[D]")),
    "records": npy(X, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }"),
    "big-endian": npy(X.astype(">f4")),
    "another width": npy(X, header("<f3")),
    "double complex": npy(X.astype("complex128")),
    "half the bytes": npy(X)[:-12],
    "more bytes": npy(X, more=b"\0"),
    "a promise of more": npy(X, header(shape="(2, 3000)")),
    "a promise of terabytes": npy(X, header(shape="(2, 1000000000000)")),
    "a promise of less": npy(X, header(shape="(2, 2)")),
    "a negative length": npy(X, header(shape="(2, -3)")),
    "no shape": npy(X, header(shape="()")),
    "not a shape": npy(X, header(shape="(2, x)")),
    "nothing, very long": npy(X[:0], header(shape="(0, 999999999999, 999999999999)")),
    "more axes than numpy has": npy(X[:0], header(shape=f"({'0, ' * 24}0)").replace(" ", "")),
    "code": npy(X, "__import__('os').abort()"),
    "a deep header": npy(X, "(" * 5000),
    "a slow header": npy(X, header(shape="(" + "1" * 60 + "x")),
    "no samples": npy(X[:0]),
}


@pytest.mark.parametrize("trick", FORGED)
def test_forged_arrays(trick: str) -> None:
    data = archive(inputs__x=FORGED[trick])
    tracemalloc.start()
    with pytest.raises(ArtifactError, match=r"^here: "):
        unpack(data, "here")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


LIMIT = npy(np.array([0.5]))
MISPLACED = {
    "another group": {"secrets__x": npy(X)},
    "deeper": {"inputs__x__y": npy(X)},
    "no group": {"x": npy(X)},
    "no output": {"tolerance__v": LIMIT},
    "too deep": {"tolerance__v__y__z": LIMIT},
    "two tolerances": {"tolerance__v__y": npy(np.array([0.5, 0.5]))},
    "an empty tolerance": {"tolerance__v__y": npy(np.zeros(0))},
    "a tolerance without axes": {
        "tolerance__v__y": npy(np.float64(0.5), header("<f8", shape="()"))
    },
    "a narrow tolerance": {"tolerance__v__y": npy(np.array([0.5], np.float32))},
    "a tolerance that is no number": {"tolerance__v__y": npy(np.array([math.nan]))},
    "a tolerance without end": {"tolerance__v__y": npy(np.array([math.inf]))},
    "a negative tolerance": {"tolerance__v__y": npy(np.array([-1.0]))},
    "a name written otherwise": {"inputs__%78": npy(X)},
    "another count of samples": {"inputs__w": npy(X[:1])},
    "too many samples": {"inputs__x": npy(np.zeros(17)), "outputs__y": npy(np.zeros(17))},
}


@pytest.mark.parametrize("trick", MISPLACED)
def test_forged_archives(trick: str) -> None:
    with pytest.raises(ArtifactError, match=r"^here"):
        unpack(archive(**MISPLACED[trick]), "here")


def test_no_inputs_at_all() -> None:
    file = io.BytesIO()
    container.write(file, {"outputs/y.npy": npy(X)})
    with pytest.raises(ArtifactError, match=r"here: .*inputs and outputs"):
        unpack(file.getvalue(), "here")
    file = io.BytesIO()
    container.write(file, {"inputs/x": npy(X), "outputs/y": npy(X)})
    with pytest.raises(ArtifactError, match="here is not as edgeloop writes it"):
        unpack(file.getvalue(), "here")


def test_as_many_samples_as_there_may_be() -> None:
    most = np.zeros((MAX_SAMPLES, 1))
    assert len(unpack(pack(Golden({"x": most}, {"y": most})), "g")) == MAX_SAMPLES


@settings(max_examples=300)
@given(st.integers(0, len(npy(X)) - 1), st.binary(min_size=1, max_size=12))
def test_random_edits_of_an_array(at: int, new: bytes) -> None:
    """With a right checksum: whatever is read is what would be written of it."""
    array = npy(X)
    data = archive(inputs__x=array[:at] + new + array[at + len(new) :])
    try:
        found = unpack(data, "g")
    except ArtifactError:
        return
    assert pack(found) == data
