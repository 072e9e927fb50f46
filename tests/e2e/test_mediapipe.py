"""MediaPipe Tasks runs our artifacts' files as they are, and answers as we do.

MediaPipe itself, in a venv of its own (``scripts/mediapipe``), gets the .tflite of an artifact and
nothing else. Where it cannot take a model, that is a test as well.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

import edge_sdk
from converters import Conversion, convert
from converters.identity import Identity
from converters.tflite.metadata import with_metadata
from edge_sdk.backends.mediapipe import open_tasks
from edge_sdk.errors import UnavailableError
from edge_sdk.pipeline.picture_file import read_picture, write_picture
from edge_sdk.processing import ImagePreprocessor, read_processing
from edge_sdk.spec import Boxes, Classes, ImageInput, TensorSpec
from examples.assets import asset
from examples.fashion_mnist import train
from tests import colour_pictures

ROOT = Path(__file__).resolve().parents[2]
TASKS = Path(__file__).with_name("tasks.py")
FACES = ROOT / "examples" / "face_detection"
SELFIE = ImageInput(input="input_1", size=(256, 256))


class Mediapipe:
    """MediaPipe at work in a process of its own; importing it takes seconds."""

    def __init__(self, python: str) -> None:
        self.process = subprocess.Popen(
            [python, TASKS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(
        self, task: str, model: Path, pictures: list[np.ndarray], folder: Path
    ) -> dict[str, np.ndarray] | str:
        """What the task answers, or why it refuses."""
        np.savez(folder / "in.npz", *pictures)
        job = {
            "task": task,
            "model": str(model),
            "pictures": str(folder / "in.npz"),
            "answers": str(folder / "out.npz"),
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(job), file=self.process.stdin, flush=True)
        said = self.process.stdout.readline()
        assert said, "MediaPipe is gone"
        if said.strip():
            return said
        with np.load(folder / "out.npz") as archive:
            return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module")
def tasks() -> Iterator[Mediapipe]:
    """MediaPipe, out of its own venv."""
    done = subprocess.run(
        [ROOT / "scripts" / "mediapipe"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    mediapipe = Mediapipe(done.stdout.strip())
    yield mediapipe
    mediapipe.process.communicate()


def file_of(artifact: Path, variant: str, folder: Path) -> Path:
    with edge_sdk.Artifact(artifact) as opened:
        found = opened.variant(variant)
        assert found.described
        return opened.extract(found, folder)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The colour classifier, converted."""
    folder = tmp_path_factory.mktemp("colours")
    pictures = colour_pictures.write_folder(folder / "pictures", 120)
    made = convert(
        colour_pictures.classifier(),
        folder / "colours-1.0.0.edge",
        recipes=["fp32", "fp16", "int8-dynamic", "int8"],
        calibrate=pictures,
        preprocess=colour_pictures.SPEC,
        postprocess=colour_pictures.ANSWER,
        labels=colour_pictures.LABELS,
    )
    assert made.passed, made.report
    return folder / "colours-1.0.0.edge"


@pytest.fixture(scope="module")
def squares() -> list[np.ndarray]:
    """Pictures of the model's own size: how they are fitted makes no difference."""
    frames, _ = colour_pictures.pictures(48, seed=5)
    bytes_only = msgspec.structs.replace(colour_pictures.SPEC, mean=(0.0,), std=(1.0,))
    return list(colour_pictures.prepared(frames, bytes_only).astype(np.uint8))


@pytest.mark.parametrize(
    ("variant", "near"),
    [("tflite-fp32", 1e-5), ("tflite-fp16", 1e-3), ("tflite-int8-dynamic", 2e-2)],
)
def test_image_classifier_answers_as_a_session(
    tasks: Mediapipe,
    colours: Path,
    squares: list[np.ndarray],
    tmp_path: Path,
    variant: str,
    near: float,
) -> None:
    model = file_of(colours, variant, tmp_path)
    theirs = tasks("classify", model, squares, tmp_path)
    assert isinstance(theirs, dict), theirs
    assert tuple(theirs["names"]) == colour_pictures.LABELS
    with edge_sdk.load(colours, variant=variant) as session:
        for picture, scores in zip(squares, theirs["scores"], strict=True):
            ours = session.predict(picture)
            assert isinstance(ours, Classes)
            assert ours.top[0].index == scores.argmax()
            assert ours.top[0].score == pytest.approx(scores.max(), abs=near)


def test_a_wrong_mean_in_the_file_is_silent_and_shows(
    tasks: Mediapipe, colours: Path, squares: list[np.ndarray], tmp_path: Path
) -> None:
    """Tasks believes what the file says: the equal answers above hang on it."""
    model = file_of(colours, "tflite-fp32", tmp_path)
    right = tasks("classify", model, squares, tmp_path)
    wrong_spec = msgspec.structs.replace(colour_pictures.SPEC, mean=(0.0,), std=(255.0,))
    identity = Identity(
        name="colours",
        version="1.0.0",
        labels=colour_pictures.LABELS,
        preprocess=wrong_spec,
        postprocess=colour_pictures.ANSWER,
    )
    model.write_bytes(with_metadata(model.read_bytes(), identity))
    wrong = tasks("classify", model, squares, tmp_path)
    assert isinstance(right, dict), right
    assert isinstance(wrong, dict), wrong
    differing = right["scores"].argmax(axis=1) != wrong["scores"].argmax(axis=1)
    assert differing.mean() > 0.5


def test_what_image_classifier_cannot_take(
    tasks: Mediapipe, colours: Path, squares: list[np.ndarray], tmp_path: Path
) -> None:
    int8 = file_of(colours, "tflite-int8", tmp_path)
    said = tasks("classify", int8, squares[:1], tmp_path)
    assert isinstance(said, str)
    assert "Requested one of these types: uint8/float32, got INT8" in said
    bgr = file_of(colours, "tflite-fp32", tmp_path)
    swapped = msgspec.structs.replace(colour_pictures.SPEC, channels="bgr")
    identity = Identity(name="colours", version="1.0.0", preprocess=swapped)
    bgr.write_bytes(with_metadata(bgr.read_bytes(), identity))
    said = tasks("classify", bgr, squares[:1], tmp_path)
    assert isinstance(said, str)
    assert "Only RGB color space is supported" in said


def test_gray_pictures_are_not_for_image_classifier(tasks: Mediapipe, tmp_path: Path) -> None:
    preprocess, postprocess = read_processing(Path(train.__file__).parent / "classifier.toml")
    made = convert(
        train.classifier("good"),
        tmp_path / "fashion.edge",
        recipes=["fp32"],
        preprocess=preprocess,
        postprocess=postprocess,
    )
    assert made.passed
    model = file_of(tmp_path / "fashion.edge", "tflite-fp32", tmp_path)
    picture = np.zeros((28, 28, 3), np.uint8)
    said = tasks("classify", model, [picture], tmp_path)
    assert isinstance(said, str)
    assert "Only RGB color space is supported" in said


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    return [read_picture(asset("photos") / "astronaut.png")]


def enlarged(photo: np.ndarray, spec: ImageInput) -> np.ndarray:
    """The photo as the model sees it, each pixel a block of 4 x 4.

    However such a picture is shrunk to the model's size, its pixels are the same; and boxes, which
    Tasks rounds to whole pixels, are still precise.
    """
    tensor = TensorSpec(name=spec.input, dtype="uint8", shape=(1, *spec.size, 3))
    plain = msgspec.structs.replace(spec, mean=(0.0,), std=(1.0,))
    small, _ = ImagePreprocessor(plain, tensor).prepare(photo)
    return np.ascontiguousarray(small[0].repeat(4, axis=0).repeat(4, axis=1))


def wrap(source: Path, out: Path, **declared: object) -> Conversion:
    made = convert(source, out, metadata=True, **declared)  # type: ignore[arg-type]
    assert made.passed
    return made


def test_face_detector_finds_the_same_faces(
    tasks: Mediapipe, photos: list[np.ndarray], tmp_path: Path
) -> None:
    preprocess, postprocess = read_processing(FACES / "face.toml")
    assert isinstance(preprocess, ImageInput)
    photos = [enlarged(photo, preprocess) for photo in photos]
    source, out = asset("face-detection-short-range"), tmp_path / "faces.edge"
    bare = tasks("detect", source, photos, tmp_path)
    assert isinstance(bare, str)
    assert "NormalizationOptions" in bare
    wrap(source, out, preprocess=preprocess, postprocess=postprocess, labels=["face"])
    theirs = tasks("detect", file_of(out, "tflite-described", tmp_path), photos, tmp_path)
    assert isinstance(theirs, dict), theirs
    with edge_sdk.load(out) as session:
        for at, photo in enumerate(photos):
            ours = session.predict(photo)
            assert isinstance(ours, Boxes)
            assert len(ours.found) == len(theirs[f"faces{at}"]) > 0
            height, width = photo.shape[:2]
            for box, (*corners, score) in zip(ours.found, theirs[f"faces{at}"], strict=True):
                found = np.array([box.left, box.top, box.right, box.bottom])
                found *= [width, height, width, height]
                side = corners[2] - corners[0]
                assert np.abs(found - corners).max() <= 0.02 * side
                assert box.score == pytest.approx(score, abs=0.02)


def test_image_segmenter_cuts_the_same_person_out(
    tasks: Mediapipe, photos: list[np.ndarray], tmp_path: Path
) -> None:
    out = tmp_path / "selfie.edge"
    wrap(asset("selfie-segmentation"), out, preprocess=SELFIE)
    theirs = tasks("segment", file_of(out, "tflite-described", tmp_path), photos, tmp_path)
    assert isinstance(theirs, dict), theirs
    import cv2

    with edge_sdk.load(out) as session:
        for at, photo in enumerate(photos):
            found = session.predict(photo)
            assert isinstance(found, dict)
            (mask,) = (array.reshape(256, 256) for array in found.values())
            ours = cv2.resize(mask, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            mine, yours = ours > 0.5, theirs[f"mask{at}"] > 0.5
            assert 0.2 < mine.mean() < 0.8
            assert (mine & yours).sum() / (mine | yours).sum() >= 0.98


def stage(python: str, artifact: Path, pictures: list[np.ndarray], folder: Path) -> Path:
    """The answers of a pipeline with Tasks as its stage, run in MediaPipe's own Python."""
    (folder / "pictures").mkdir()
    for at, picture in enumerate(pictures):
        write_picture(folder / "pictures" / f"{at}.png", picture)
    done = subprocess.run(
        [python, ROOT / "tests" / "e2e" / "tasks_stage.py", artifact, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def shapes(photo: np.ndarray) -> list[np.ndarray]:
    """The photo in pictures of several shapes: stretched, cut, and with bars of gray and black."""
    import cv2

    def among(width: int, height: int, gray: int) -> np.ndarray:
        bars = np.full((height, width, 3), gray, np.uint8)
        side = min(width, height)
        top, left = (height - side) // 2, (width - side) // 2
        small = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
        bars[top : top + side, left : left + side] = small
        return bars

    return [
        photo,
        cv2.resize(photo, (1920, 1080)),
        among(1000, 520, 128),
        among(1000, 520, 0),
        among(500, 260, 128),
        np.ascontiguousarray(photo[:, 90:350]),
        among(640, 512, 0),
        cv2.resize(photo, (100, 90), interpolation=cv2.INTER_AREA),
    ]


def test_tasks_as_a_stage_finds_the_same_faces_in_pictures_of_any_shape(
    tasks: Mediapipe, photos: list[np.ndarray], tmp_path: Path
) -> None:
    preprocess, postprocess = read_processing(FACES / "face.toml")
    pictures = shapes(photos[0])
    faces = tmp_path / "faces.edge"
    wrap(
        asset("face-detection-short-range"),
        faces,
        preprocess=preprocess,
        postprocess=postprocess,
        labels=["face"],
    )
    folder = stage(str(tasks.process.args[0]), faces, pictures, tmp_path)  # type: ignore[index]
    lines = (folder / "found.jsonl").read_text(encoding="utf-8").splitlines()
    counts = []
    with edge_sdk.load(faces) as session:
        for picture, line in zip(pictures, lines, strict=True):
            theirs = json.loads(line)["answers"]["tasks"]["found"]
            ours = session.predict(picture).found  # type: ignore[union-attr]
            counts.append(len(ours))
            for mine, yours in zip(ours, theirs, strict=True):
                side = mine.right - mine.left
                for edge_name in ("left", "top", "right", "bottom"):
                    near = pytest.approx(getattr(mine, edge_name), abs=0.02 * side)
                    assert yours[edge_name] == near
                assert yours["label"] == "face"
                assert yours["score"] == pytest.approx(mine.score, abs=1e-4)
                assert np.abs(np.array(yours["keypoints"]) - mine.keypoints).max() <= 1e-4
    assert sum(counts) >= 4  # not in all of them is the face large enough


def test_tasks_as_a_stage_cuts_the_same_person_out_of_pictures_of_any_shape(
    tasks: Mediapipe, photos: list[np.ndarray], tmp_path: Path
) -> None:
    pictures = shapes(photos[0])
    selfie = tmp_path / "selfie.edge"
    before, after = read_processing(ROOT / "examples" / "selfie_segmentation" / "selfie.toml")
    wrap(asset("selfie-segmentation"), selfie, preprocess=before, postprocess=after)
    folder = stage(str(tasks.process.args[0]), selfie, pictures, tmp_path)  # type: ignore[index]
    with edge_sdk.load(selfie) as session, np.load(folder / "masks.npz") as masks:
        for at, picture in enumerate(pictures):
            height, width = picture.shape[:2]
            mine = session.predict(picture).over(height, width) > 0.5  # type: ignore[union-attr]
            yours = masks[str(at)] > 0.5
            assert 0.1 < mine.mean() < 0.8
            assert (mine & yours).sum() / (mine | yours).sum() >= 0.999


def test_tasks_as_a_stage_classifies_pictures_of_any_shape(
    tasks: Mediapipe, colours: Path, photos: list[np.ndarray], tmp_path: Path
) -> None:
    frames, _ = colour_pictures.pictures(4, seed=9)
    pictures = [*shapes(photos[0]), *frames]
    folder = stage(str(tasks.process.args[0]), colours, pictures, tmp_path)  # type: ignore[index]
    answers = {}
    for line in (folder / "found.jsonl").read_text(encoding="utf-8").splitlines():
        frame = json.loads(line)
        answers[Path(frame["source"]).stem] = frame["answers"]["tasks"]["top"]
    with edge_sdk.load(colours, variant="tflite-fp32") as session:
        for at, picture in enumerate(pictures):
            mine = session.predict(picture).top[0]  # type: ignore[union-attr]
            yours = answers[str(at)][0]
            assert (yours["label"], yours["index"]) == (mine.label, mine.index)
            assert yours["score"] == pytest.approx(mine.score, abs=1e-3)


def test_what_tasks_cannot_be_asked(tasks: Mediapipe, tmp_path: Path) -> None:
    """Here MediaPipe is not installed, and there a file without a task is refused."""
    with pytest.raises(UnavailableError, match="does not import") as caught:
        open_tasks(tmp_path / "any.edge")
    assert "edgeloop[mediapipe]" in caught.value.hint
    plain = tmp_path / "plain.edge"
    wrap(asset("selfie-segmentation"), plain, preprocess=SELFIE)
    done = subprocess.run(
        [str(tasks.process.args[0]), ROOT / "tests" / "e2e" / "tasks_stage.py", plain, tmp_path],  # type: ignore[index]
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "declares no postprocessing" in done.stderr
