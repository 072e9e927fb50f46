"""DATA as a folder of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from converters.samples import read_samples
from edge_sdk.errors import UsageError
from edge_sdk.pipeline.picture_file import write_picture
from edge_sdk.spec import ImageInput, Signature, TensorSpec

PREPROCESS = ImageInput(input="image", size=(4, 4), channels="gray")
SIGNATURE = Signature(
    inputs=(TensorSpec(name="image", dtype="float32", shape=("batch", 4, 4, 1)),),
    outputs=(TensorSpec(name="probs", dtype="float32", shape=("batch", 3)),),
)


def paint(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, np.full((4, 4, 3), value, np.uint8))


@pytest.fixture
def folder(tmp_path):
    """Three classes of two pictures; a picture's brightness says which it is."""
    for i, name in enumerate(("boot", "coat", "shirt")):
        for j in range(2):
            paint(tmp_path / name / f"{j}.png", 10 * i + j)
    return tmp_path


def read(folder, **options):
    return read_samples(folder, SIGNATURE, preprocess=PREPROCESS, **options)


def brightness(batch):
    return [round(float(row.mean() * 255)) for row in batch["image"]]


def test_class_folders_are_classes_in_the_order_of_their_names(folder):
    samples = read(folder)
    assert brightness(samples.read(0, 6)) == [0, 1, 10, 11, 20, 21]
    assert samples.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_labels_file_has_the_last_word_on_the_order(folder):
    samples = read(folder, labels=("shirt", "boot", "coat"))
    assert brightness(samples.read(0, 6)) == [0, 1, 10, 11, 20, 21]
    assert samples.labels.tolist() == [1, 1, 2, 2, 0, 0]


def test_a_plain_folder_has_no_labels(folder):
    samples = read(folder / "coat")
    assert brightness(samples.read(0, 2)) == [10, 11]
    assert samples.labels is None


def test_pictures_are_read_when_they_are_asked_for(folder):
    samples = read(folder)
    (folder / "shirt" / "1.png").unlink()
    assert brightness(samples.read(0, 5)) == [0, 1, 10, 11, 20]
    with pytest.raises(UsageError, match=r"1\.png"):
        samples.read(5, 6)


def test_the_digest_is_of_the_pictures_their_classes_and_their_preparation(folder):
    before = read(folder).sha256
    assert read(folder).sha256 == before
    assert read(folder, labels=("shirt", "coat", "boot")).sha256 != before
    other = ImageInput(input="image", size=(4, 4), channels="gray", std=(1.0,))
    assert read_samples(folder, SIGNATURE, preprocess=other).sha256 != before
    paint(folder / "boot" / "0.png", 99)
    assert read(folder).sha256 != before


def test_hidden_folders_are_no_classes(folder):
    (folder / ".ipynb_checkpoints").mkdir()
    assert len(read(folder)) == 6


def refused(folder, **options):
    options.setdefault("preprocess", PREPROCESS)
    with pytest.raises(UsageError) as error:
        read_samples(folder, SIGNATURE, **options)
    assert error.value.hint
    return f"{error.value.message}\n{error.value.hint}"


def test_without_preprocessing(folder):
    assert "--preprocess SPEC.toml" in refused(folder, preprocess=None)


def test_a_folder_without_pictures(tmp_path, folder):
    (folder / "empty").mkdir()
    (folder / "empty" / "notes.txt").write_text("no picture")
    assert "There are no pictures" in refused(folder / "empty")


def test_a_class_that_the_labels_do_not_know(folder):
    said = refused(folder, labels=("boot", "coat", "sandal"))
    assert "shirt is no class of the labels" in said
    assert "boot, coat, sandal" in said


def test_more_classes_than_the_model_has(folder):
    paint(folder / "trousers" / "0.png", 30)
    assert "holds 4 class folders, but there are 3 classes" in refused(folder)


def test_a_picture_that_is_none(folder):
    (folder / "boot" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    samples = read(folder)
    with pytest.raises(UsageError, match=r"boot/1\.png is not a whole picture"):
        samples.read(0, 2)
