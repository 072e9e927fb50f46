"""The classifiers to live with: as good as promised, trained once, and never used damaged.

On a fresh machine this trains all three; afterwards it takes them from the cache.
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.engines import engine
from edge_sdk.errors import UsageError
from edge_sdk.pipeline.picture_file import read_picture
from edge_sdk.processing import ImagePreprocessor, read_labels, read_processing
from edge_sdk.spec import Classification, ImageInput, TensorSpec
from examples.assets import asset
from examples.fashion_mnist import dataset, train
from examples.fashion_mnist.fit import TRAININGS

ROOT = Path(__file__).resolve().parents[2]
DECLARED = ROOT / "examples" / "fashion_mnist"
IMAGE = TensorSpec(name="image", dtype="float32", shape=("batch", 28, 28, 1))


@pytest.fixture(scope="module")
def trained() -> dict[str, train.Trained]:
    """All three, from the cache or trained now."""
    return train.classifiers()


@pytest.fixture(scope="module")
def networks(trained: dict[str, train.Trained]) -> dict[str, Any]:
    load = engine("keras").models.load_model
    return {name: load(each.path, compile=False) for name, each in trained.items()}


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of our own with nothing but the dataset; returns where its classifiers go."""
    fashion = asset("fashion-mnist")
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "fashion-mnist").symlink_to(fashion)
    monkeypatch.setenv("EDGELOOP_ASSETS", str(folder))
    return folder / train.HOME


@pytest.fixture
def copied(trained: dict[str, train.Trained], own_cache: Path) -> Path:
    """The cheapest classifier, copied into a cache of our own; returns its file."""
    source = trained["bad"].path
    own_cache.mkdir()
    shutil.copy(source.with_suffix(".json"), own_cache)
    return Path(shutil.copy(source, own_cache))


def run_train(*words: str, **environment: str) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, as a shell does."""
    return subprocess.Popen(
        [sys.executable, "-m", "examples.fashion_mnist.train", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def kept(folder: Path) -> list[str]:
    """Return what is in a cache but for the locks."""
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".lock")


@pytest.mark.parametrize(
    ("name", "least", "most"), [("good", 0.905, 1), ("better", 0.91, 1), ("bad", 0.6, 0.8)]
)
def test_they_answer_as_well_as_promised(
    trained: dict[str, train.Trained], name: str, least: float, most: float
) -> None:
    measured = train.measure(trained[name].path)
    assert least <= measured <= most
    assert measured == pytest.approx(trained[name].record.accuracy, abs=0.001)


def test_they_are_one_graph_with_three_sets_of_weights(networks: dict[str, Any]) -> None:
    good, better, bad = networks.values()
    assert good.to_json() == better.to_json() == bad.to_json()
    first = [network.get_weights()[0] for network in networks.values()]
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[1], first[2])


def test_inputs_and_outputs_are_the_declared_ones(networks: dict[str, Any]) -> None:
    network = networks["good"]
    preprocess, postprocess = read_processing(DECLARED / "classifier.toml")
    assert isinstance(preprocess, ImageInput)
    assert isinstance(postprocess, Classification)
    assert [t.name for t in network.inputs] == [preprocess.input]
    assert network.output_names == [postprocess.output]
    assert network.output_shape == (None, len(dataset.LABELS))
    assert read_labels(DECLARED / "labels.txt") == dataset.LABELS
    probabilities = network.predict(dataset.load("test").pixels()[:8], verbose=0)
    assert np.allclose(probabilities.sum(axis=-1), 1, atol=1e-5)


def test_asking_again_does_not_train_again(
    trained: dict[str, train.Trained], capfd: pytest.CaptureFixture[str]
) -> None:
    files = [f for each in trained.values() for f in (each.path, each.path.with_suffix(".json"))]
    before = [(f.read_bytes(), f.stat().st_mtime_ns, f.stat().st_ino) for f in files]
    assert train.classifiers() == trained
    assert train.classifier("good") == trained["good"].path
    assert [(f.read_bytes(), f.stat().st_mtime_ns, f.stat().st_ino) for f in files] == before
    assert capfd.readouterr().err == ""


def test_the_command_prints_accuracy_and_path(trained: dict[str, train.Trained]) -> None:
    assert run_train("good", "--path").communicate() == (f"{trained['good'].path}\n", "")
    out, err = run_train("all", "--accuracy").communicate()
    assert err == ""
    for line, (name, each) in zip(out.splitlines(), trained.items(), strict=True):
        share = f"{each.record.accuracy:.2%}"
        assert line.split() == [name, TRAININGS[name].version, share, str(each.path)]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lose_the_record(path: Path) -> None:
    path.with_suffix(".json").unlink()


def garble_the_record(path: Path) -> None:
    path.with_suffix(".json").write_text("{}", encoding="utf-8")


@pytest.mark.parametrize(
    "harm", [cut, empty, flip, lose_the_record, garble_the_record, Path.unlink]
)
def test_a_harmed_file_is_not_used(copied: Path, harm: Any) -> None:
    assert train.cached("bad") is not None
    harm(copied)
    assert train.cached("bad") is None


def test_a_harmed_file_is_trained_again_once_and_comes_out_the_same(
    copied: Path, networks: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    flip(copied)
    with ThreadPoolExecutor(2) as both:
        assert list(both.map(train.classifier, ["bad", "bad"])) == [copied, copied]
    assert capfd.readouterr().err.count("training on") == 1
    assert kept(copied.parent) == [copied.with_suffix(".json").name, copied.name]
    again = engine("keras").models.load_model(copied, compile=False).get_weights()
    for weights, same in zip(networks["bad"].get_weights(), again, strict=True):
        assert np.array_equal(weights, same)


def interrupt_all(process: subprocess.Popen[str]) -> None:
    """Do as Control-C does: parent and child get the signal."""
    os.killpg(process.pid, signal.SIGINT)


def interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (interrupt_all, 130),
        (interrupt, 130),
        (subprocess.Popen.terminate, -signal.SIGTERM),
        (subprocess.Popen.kill, -signal.SIGKILL),
    ],
)
def test_an_interrupted_training_ends_and_leaves_nothing(
    own_cache: Path, tmp_path: Path, end: Any, code: int
) -> None:
    process = run_train("good", TMPDIR=str(tmp_path))
    assert process.stderr is not None
    assert "training on" in process.stderr.readline()
    end(process)
    # Ends only when the training child, which shares the pipe, has ended too.
    out, err = process.communicate(timeout=60)
    assert out == ""
    assert "Traceback" not in err
    assert "test pictures" not in err
    assert process.returncode == code
    assert kept(own_cache) == []


def test_a_training_that_fails_is_reported_and_keeps_nothing(
    own_cache: Path, tmp_path: Path
) -> None:
    engines = tmp_path / "engines"
    (engines / "tensorflow").mkdir(parents=True)
    broken = engines / "tensorflow" / "__init__.py"
    broken.write_text("raise ImportError('no such processor')", encoding="utf-8")
    process = run_train("bad", PYTHONPATH=str(engines))
    out, err = process.communicate()
    assert (process.returncode, out) == (3, "")
    assert "no such processor" in err
    assert "The training of bad ended with exit code 3" in err
    assert "Traceback" not in err
    assert kept(own_cache) == []


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match="no classifier 'best'") as caught:
        train.classifier("best")
    assert "good, better, bad" in caught.value.hint


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGELOOP_ASSETS", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="cannot be written"):
        train.classifier("bad")


def test_written_arrays_are_the_dataset_as_the_network_takes_it(tmp_path: Path) -> None:
    folder = dataset.write_data(tmp_path / "new" / "folder")
    assert sorted(p.name for p in folder.iterdir()) == ["calibration.npz", "evaluation.npz"]
    with np.load(folder / "calibration.npz") as calibration:
        assert calibration.files == ["x"]
        assert calibration["x"].shape == (200, 28, 28, 1)
        assert calibration["x"].dtype == np.float32
        assert calibration["x"].max() == 1
    with np.load(folder / "evaluation.npz") as evaluation:
        x, y = evaluation["x"], evaluation["y"]
    test = dataset.load("test")
    assert (x.shape, x.dtype, y.dtype) == ((10_000, 28, 28, 1), np.float32, np.int64)
    assert np.array_equal(np.rint(x * 255), test.images)
    assert np.array_equal(np.bincount(y), [1000] * 10)


def test_a_written_picture_becomes_the_same_input(tmp_path: Path) -> None:
    folder = dataset.write_images(tmp_path, per_class=2)
    preprocess, _ = read_processing(DECLARED / "classifier.toml")
    assert isinstance(preprocess, ImageInput)
    preparer = ImagePreprocessor(preprocess, IMAGE)
    test = dataset.load("test")
    pixels = test.pixels()
    pictures = sorted(folder.rglob("*.png"))
    assert len(pictures) == 20
    for path in pictures:
        row = int(path.stem)
        assert path.parent.name == dataset.LABELS[test.labels[row]]
        assert np.allclose(preparer.prepare(read_picture(path))[0], pixels[row], atol=1e-6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"", "not an idx file"),
        (b"not gzip", "cannot be read"),
        (gzip.compress(bytes(5000))[:-12], "cannot be read"),
        (gzip.compress(b"\0\0\x08\x01\0\0\x27\x10" + bytes(9_999)), "not an idx file of 10000"),
        (gzip.compress(b"\0\0\x0d\x01\0\0\x27\x10" + bytes(10_000)), "not an idx file of 10000"),
        (gzip.compress(b"\0\0\x08\x01\0\0\x27\x10" + b"\x0a" * 10_000), "has a label 10"),
    ],
    ids=["missing", "empty", "not gzip", "cut off", "too few", "other numbers", "a label of 10"],
)
def test_a_damaged_dataset_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    images = "t10k-images-idx3-ubyte.gz"
    (tmp_path / images).symlink_to(asset("fashion-mnist") / images)
    if content is not None:
        (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        dataset.load("test", tmp_path)
    assert "scripts/assets" in caught.value.hint
