"""Prepared weights that are kept: never another model's, never half a file, not for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_models import TfLite, tfl, tflite_unknown

from edge_sdk import UnavailableError, UsageError
from edge_sdk.backends import backend
from edge_sdk.backends.weight_cache import (
    MAX_FILES,
    STAMP,
    SUFFIX,
    collect,
    digest_of,
    prepared_weights,
    remembered_digest,
)
from edge_sdk.files import sha256

LENGTH = 64
X = np.random.default_rng(0).random((1, LENGTH), np.float32)


def dense(path: Path, seed: int) -> tuple[Path, np.ndarray]:
    """One dense layer, and its answer: every seed has the same graph, and weights of its own."""
    weights = np.random.default_rng(seed).standard_normal((LENGTH, LENGTH)).astype(np.float32)
    model = TfLite()
    x, y = model.tensor("x", (1, LENGTH)), model.tensor("y", (1, LENGTH))
    w = model.tensor("w", (LENGTH, LENGTH), value=weights)
    bias = model.tensor("b", (LENGTH,), value=np.zeros(LENGTH, np.float32))
    model.operator("FULLY_CONNECTED", [x, w, bias], [y], tfl.FullyConnectedOptionsT())
    path.write_bytes(model.build([x], [y]))
    return path, X @ weights.T


def answer(model: Path | bytes, cache: Path | None) -> np.ndarray:
    loaded = backend("litert-compiled").open(model, delegates=(), threads=1, cache=cache)
    try:
        return loaded.run([X])[0]
    finally:
        loaded.close()


def test_a_hundred_swaps_of_the_same_graph_never_serve_the_others_weights(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    pair = [dense(tmp_path / f"{seed}.tflite", seed) for seed in (1, 2)]
    assert np.abs(pair[0][1] - pair[1][1]).max() > 1
    times = []
    for swap in range(100):
        model, expected = pair[swap % 2]
        np.testing.assert_allclose(answer(model, cache), expected, rtol=1e-4, atol=1e-4)
        # Not the digests, which are noted only once the models are two seconds old.
        times.append({path: path.stat().st_ino for path in cache.glob("*.xnnpack")})
    assert len(times[1]) == 2
    assert all(each == times[1] for each in times[1:])  # made once each, and found ever after


def test_one_path_whose_content_is_replaced(tmp_path: Path) -> None:
    cache, path = tmp_path / "cache", tmp_path / "model.tflite"
    for seed in (1, 2, 1, 3):
        model, expected = dense(path, seed)
        np.testing.assert_allclose(answer(model, cache), expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(answer(model.read_bytes(), cache), expected, atol=1e-4)
    assert len(list(cache.iterdir())) == 3


def test_weights_are_kept_only_of_what_the_engine_can_run(tmp_path: Path) -> None:
    """What has kept weights is not looked at again: so none are kept of what is refused."""
    cache, path = tmp_path / "cache", tmp_path / "model.tflite"
    whole = dense(path, 1)[0].read_bytes()
    for _ in range(2):
        with pytest.raises(UnavailableError, match="Frobnicate"):
            answer(tflite_unknown(), cache)
        with pytest.raises(UsageError, match="cut short"):
            answer(whole[:-1], cache)
    assert list(cache.glob("*")) == []


def test_a_digest_is_remembered_only_while_the_file_cannot_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, later = tmp_path / "model.tflite", time.time() + 10
    path.write_bytes(b"one content")
    first = remembered_digest(tmp_path, path)
    assert list(tmp_path.glob(f"*{STAMP}")) == []  # it changed just now, and may again
    assert remembered_digest(tmp_path, path, later) == first
    (stamp,) = tmp_path.glob(f"*{STAMP}")
    with monkeypatch.context() as patch:
        patch.setattr(
            "edge_sdk.backends.weight_cache.digest_of", lambda _: pytest.fail("read again")
        )
        assert remembered_digest(tmp_path, path) == first
    stat = path.stat()
    path.write_bytes(b"two content")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as a copy that keeps times does
    assert path.stat().st_size == stat.st_size
    assert remembered_digest(tmp_path, path, later) == digest_of(path) != first
    stamp.write_text("no digest", encoding="ascii")
    assert remembered_digest(tmp_path, path, later) == digest_of(path)
    new = tmp_path / "not" / "there"
    assert remembered_digest(new, path, later) == digest_of(path)
    assert len(list(new.iterdir())) == 1
    assert remembered_digest(path / "no folder", path, later) == digest_of(path)


def test_the_engine_by_itself_would_serve_the_old_weights(tmp_path: Path) -> None:
    """Why all this: if this fails one day, the engine has learned to look."""
    from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, Options

    def raw(model: Path) -> np.ndarray:
        options = Options(cpu_options=CpuOptions(1, xnnpack_weight_cache_path=str(tmp_path / "c")))
        compiled = CompiledModel.from_file(str(model), options=options)
        inputs, outputs = compiled.create_input_buffers(0), compiled.create_output_buffers(0)
        inputs[0].write(X)
        compiled.run_by_index(0, inputs, outputs)
        return outputs[0].read(LENGTH, np.float32)[None]

    answer(dense(tmp_path / "0.tflite", 0)[0], None)  # the environments are there, and have spoken
    (one, first), (two, second) = (dense(tmp_path / f"{s}.tflite", s) for s in (1, 2))
    np.testing.assert_allclose(raw(one), first, rtol=1e-4, atol=1e-4)
    assert np.abs(raw(two) - second).max() > 1


def test_another_processor_has_weights_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder may come with a system's image to another board."""
    cache = tmp_path / "cache"
    model, _ = dense(tmp_path / "model.tflite", 1)
    answer(model, cache)
    mine = set(cache.iterdir())
    monkeypatch.setattr("edge_sdk.backends.litert_compiled.cpuinfo", lambda: "flags : sse4_1\n")
    answer(model, cache)
    assert set(cache.iterdir()).isdisjoint(mine)


@pytest.mark.parametrize("length", [0, 1, 100, -1], ids=["empty", "a byte", "its head", "its end"])
def test_a_damaged_file_is_no_reason_to_answer_wrongly(tmp_path: Path, length: int) -> None:
    cache = tmp_path / "cache"
    model, expected = dense(tmp_path / "model.tflite", 1)
    answer(model, cache)
    (kept,) = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:length])
    np.testing.assert_allclose(answer(model, cache), expected, rtol=1e-4, atol=1e-4)


def test_a_folder_that_cannot_be_is_no_reason_not_to_run(tmp_path: Path) -> None:
    model, expected = dense(tmp_path / "model.tflite", 1)
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    found = answer(model, tmp_path / "file" / "cache")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


ON_A_FULL_DISK = """
import sys
from pathlib import Path
import numpy as np
from edge_sdk.backends import backend
model, x, cache = map(Path, sys.argv[1:])
for _ in range(2):
    loaded = backend("litert-compiled").open(model, delegates=(), threads=1, cache=cache)
    np.savetxt(sys.stdout, loaded.run([np.load(x)])[0])
print(*(path.name for path in cache.glob("*.xnnpack*")), file=sys.stderr)
"""


@pytest.mark.parametrize("kilobytes", [4, 12], ids=["none", "half"])
def test_a_full_disk_costs_the_cache_and_not_the_session(tmp_path: Path, kilobytes: int) -> None:
    """With room for no weights, and for half of them: XNNPACK itself would end the process."""
    cache = tmp_path / "cache"
    cache.mkdir()
    model, expected = dense(tmp_path / "model.tflite", 1)
    np.save(tmp_path / "x.npy", X)
    in_namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = f'mount -t tmpfs -o size={kilobytes}k tmpfs "$0" || exit 77; exec "$@"'
    command = [sys.executable, "-c", ON_A_FULL_DISK, model, tmp_path / "x.npy", cache]
    done = subprocess.run(
        [*in_namespace, mount, cache, *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unshare:" in done.stderr or done.returncode == 77:
        pytest.skip(f"no disk of ours can be made here: {done.stderr.strip()}")
    assert done.returncode == 0
    found = np.array(done.stdout.split(), np.float32).reshape(2, *expected.shape)
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-4, atol=1e-4)
    assert done.stderr.split() == []  # nor is half a file left


def test_what_was_cut_off_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), prepared_weights(tmp_path, "0" * 64, "e 1") as path:
        path.write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_least_recently_used_and_other_versions_go(tmp_path: Path) -> None:
    def keep(model: bytes, engine: str, when: int) -> Path:
        with prepared_weights(tmp_path, sha256(model), engine) as path:
            path.write_bytes(b"weights")
        (newest,) = (p for p in tmp_path.iterdir() if p.stat().st_mtime > 1e9)
        os.utime(newest, (when, when))
        return newest

    old = keep(b"old", "engine 1", 1)
    kept = [keep(bytes([n]), "engine 2", 100 + n) for n in range(MAX_FILES)]
    assert not old.exists()
    another = keep(b"another", "engine 2", 500)
    assert not kept[0].exists()
    assert all(path.exists() for path in (*kept[1:], another))
    left = tmp_path / f"weights-x{SUFFIX}.part"
    left.write_bytes(b"")
    os.utime(left, (1, 1))
    os.utime(another, (10_000, 10_000))
    collect(tmp_path, another.name.rpartition("-")[2].removesuffix(SUFFIX))
    assert not left.exists()
