"""``edge demo video`` as a person types it, and what is in the pictures it makes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

import edge_sdk
from edge_sdk.pipeline import Clip, read_picture
from edge_sdk.processing import read_processing
from examples.assets import asset
from tests.brokers import free_port
from tests.e2e.conftest import Edge
from tests.streams import RtspServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the person is, and where outputs without a name go."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def detector():
    before, after = read_processing(ROOT / "examples" / "face_detection" / "face.toml")
    model = asset("face-detection-short-range")
    with edge_sdk.load(model, preprocess=before, postprocess=after, labels=["face"]) as session:
        yield session


def pictures(path: Path) -> list[np.ndarray]:
    return [frame.picture for frame in Clip(path).frames()]


def sharpness(picture: np.ndarray, rows: slice, columns: slice) -> float:
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(gray, cv2.CV_64F)[rows, columns].var())


def made(edge: Edge, *words: object) -> dict[str, object]:
    done = edge("demo", "video", *words, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_faces_are_gone_and_the_rest_is_not(edge: Edge, here: Path, detector) -> None:
    report = made(edge)
    assert report["frames"] == report["with_faces"] == 120
    assert report["dropped"] == {}
    assert report["output"] == "demo-faces.mp4"
    assert report["fps"] > 0
    before, after = pictures(asset("carphone")), pictures(here / "demo-faces.mp4")
    assert len(after) == 120
    assert after[0].shape == before[0].shape == (144, 176, 3)
    for at in range(0, 120, 15):
        (box, *_) = detector.predict(before[at]).found
        rows = slice(int(box.top * 144), int(box.bottom * 144))
        columns = slice(int(box.left * 176), int(box.right * 176))
        changed = np.abs(after[at].astype(int) - before[at]).mean(axis=2)
        assert changed[rows, columns].mean() > 12
        # The outline still says that there is a face; the details that say whose are gone.
        assert sharpness(after[at], rows, columns) < sharpness(before[at], rows, columns) / 8
        changed[:, max(0, columns.start - 25) : columns.stop + 25] = 0
        assert changed.sum() / np.count_nonzero(changed) < 6, "what is far from the face changed"


def test_the_room_is_blurred_and_the_person_is_not_and_side_by_side(edge: Edge, here: Path) -> None:
    words = ["--effect", "both", "--side-by-side", "--output", "both.avi", "--lines", "f.jsonl"]
    report = made(edge, *words)
    assert {"faces", "tracks", "person", "background", "blur faces"} <= set(report["stages"])
    frames = pictures(here / "both.avi")
    assert frames[0].shape == (144, 352, 3)
    assert len(frames) == 120
    for picture in frames[::20]:
        before, after = picture[:, :176], picture[:, 176:]
        window = slice(20, 80), slice(120, 170)
        assert sharpness(after, *window) < sharpness(before, *window) / 4
        tie = slice(98, 125), slice(80, 125)
        assert sharpness(after, *tie) > sharpness(before, *tie) * 0.5
    lines = [json.loads(line) for line in (here / "f.jsonl").read_text().splitlines()]
    assert len(lines) == 120
    assert 0.2 < lines[60]["answers"]["person"]["share"] < 0.8
    assert lines[119]["answers"]["tracks"]["tracks"][0]["id"] == 1


def test_another_room(edge: Edge, here: Path) -> None:
    made(edge, "--effect", "background", "--background", "#00b140", "--output", "green.mp4")
    for picture in pictures(here / "green.mp4")[::30]:
        assert picture[10, 10].astype(int) == pytest.approx([0, 0xB1, 0x40], abs=12)
    done = edge("demo", "video", "--effect", "background", "--background", "beach")
    assert done.code == 2
    assert "neither 'blur', nor a colour" in done.err


def test_a_folder_of_photos(edge: Edge, here: Path) -> None:
    report = made(edge, "--input", asset("photos"), "--effect", "both")
    assert report["output"] == "demo-both"
    assert report["with_faces"] >= 1
    names = sorted(path.name for path in (here / "demo-both").iterdir())
    assert names == ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"]
    for name in names:
        original = read_picture(asset("photos") / name)
        assert read_picture(here / "demo-both" / name).shape == original.shape
    before = read_picture(asset("photos") / "astronaut.png")
    after = read_picture(here / "demo-both" / "astronaut.png")
    face = slice(70, 160), slice(190, 260)
    assert sharpness(after, *face) < sharpness(before, *face) / 10


def test_a_stream_and_its_page(edge: Edge, here: Path) -> None:
    port = free_port()
    seen: list[bytes] = []
    address = f"http://127.0.0.1:{port}/frame.jpg"

    def look() -> None:
        for _ in range(200):
            with suppress(OSError), urllib.request.urlopen(address, timeout=5) as page:
                seen.append(page.read())
                return
            time.sleep(0.05)

    viewer = threading.Thread(target=look)
    with RtspServer(asset("carphone").parent) as server:
        viewer.start()
        url = server.url("carphone_pristine.mp4")
        words = ["--input", url, "--live", port, "--seconds", 2, "--output", "live.mp4"]
        report = made(edge, *words)
    viewer.join()
    picture = cv2.imdecode(np.frombuffer(seen[0], np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (144, 176, 3)
    assert report["page"] == f"http://127.0.0.1:{port}/"
    assert report["taken"] == report["frames"] + sum(report["dropped"].values())
    assert report["frames"] >= 1
    # As long as what it shows, whatever the server sent in a burst at first.
    assert 1 <= len(pictures(here / "live.mp4")) <= 30 * (report["seconds"] + 1)


def told_to_stop(number: int, *words: str) -> tuple[int, str]:
    """A demo in a process of its own, sent a signal once it is at work."""
    program = [sys.executable, "-m", "edge_sdk", "demo", "video", *words]
    with subprocess.Popen(program, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        deadline = time.monotonic() + 30
        while not any(Path().glob(".*.mp4")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        running.send_signal(number)
        _, err = running.communicate()
        return running.returncode, err.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_run_that_is_told_to_stop_keeps_what_it_recorded(here: Path, number: int) -> None:
    words = ["--input", "synthetic:320x240@30", "--output", "card.mp4"]
    code, err = told_to_stop(number, *words)
    assert code == 0, err
    assert len(pictures(here / "card.mp4")) >= 1
    assert [path.name for path in here.iterdir()] == ["card.mp4"]


def test_a_file_that_is_stopped_halfway_leaves_nothing(here: Path) -> None:
    words = ["--input", "synthetic:1280x720x100000", "--output", "card.mp4"]
    code, err = told_to_stop(signal.SIGINT, *words)
    assert code == 130
    assert "nothing was left half done" in err
    assert list(here.iterdir()) == []


def test_what_cannot_be_shown(edge: Edge, here: Path) -> None:
    empty, cut = here / "empty.mp4", here / "cut.mp4"
    empty.touch()
    whole = asset("carphone").read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])  # an mp4's index lies at its end
    shutil.copy(asset("carphone"), here / "clip.mp4")
    cases = [
        (["--input", empty], 2, "is empty"),
        (["--input", cut], 2, "cut off"),
        (["--input", here / "none.mp4"], 2, "does not exist"),
        (["--input", "63"], 3, "no camera /dev/video63"),
        (["--input", "rtsp://127.0.0.1:1/x"], 3, "cannot be opened"),
        (["--input", "picamera:9x"], 2, "names no camera"),
        (["--output", "x.gif"], 2, "--output x.mp4"),
        (["--input", asset("photos"), "--output", "x.mp4"], 2, "go to a folder"),
        (["--input", asset("photos"), "--live"], 2, "Leave out --live"),
        (["--input", here / "clip.mp4", "--output", here / "clip.mp4"], 2, "overwritten"),
        (["--seconds", "0"], 2, "--seconds is 0"),
        (["--faces-model", here / "none.edge"], 2, "none.edge"),
    ]
    for words, code, said in cases:
        done = edge("demo", "video", *words)
        assert (done.code, said in done.err) == (code, True), f"{words}: {done.code} {done.err}"
        assert "Traceback" not in done.err
    assert sorted(path.name for path in here.iterdir()) == ["clip.mp4", "cut.mp4", "empty.mp4"]


def test_a_video_that_is_cut_off_is_used_as_far_as_it_goes(edge: Edge, here: Path) -> None:
    source = cv2.VideoCapture(str(asset("carphone")))
    writer = cv2.VideoWriter("whole.avi", cv2.VideoWriter.fourcc(*"MJPG"), 30, (176, 144))
    for _ in range(40):
        writer.write(source.read()[1])
    writer.release()
    source.release()
    data = (here / "whole.avi").read_bytes()
    (here / "cut.avi").write_bytes(data[: len(data) // 2])
    done = edge("demo", "video", "--input", "cut.avi", "--output", "out.mp4")
    assert done.code == 0
    assert "of 40 frames can be decoded; the file is cut off or damaged" in done.out
    assert 10 < len(pictures(here / "out.mp4")) < 30
