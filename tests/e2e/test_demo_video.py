"""``edge demo video`` as a person types it, and what is in the pictures it makes."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import shutil
import signal
import socket
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
from edge_sdk.broker.users import fleet_user
from edge_sdk.pipeline import Clip, read_picture, write_picture
from edge_sdk.processing import read_processing
from examples.assets import asset
from tests.brokers import Server, eventually, free_port, over, running
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
    # Nothing lost on the way, and the copy is played as long as the original.
    assert report["taken"] == report["frames"] + sum(report["dropped"].values())
    assert len(after) == len(before) == 120
    assert after[0].shape == before[0].shape == (144, 176, 3)
    whole, copy = Clip(asset("carphone")), Clip(here / "demo-faces.mp4")
    assert copy.fps == pytest.approx(whole.fps, rel=1e-4)
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


def test_what_is_no_face_stays_as_it_is_to_the_last_bit(edge: Edge, here: Path) -> None:
    """In pictures without loss: a video's own would hide a change of a few values."""
    (here / "in").mkdir()
    stills = pictures(asset("carphone"))[::20]
    for at, picture in enumerate(stills):
        write_picture(here / "in" / f"{at}.png", picture)
    report = made(edge, "--input", "in", "--output", "out", "--lines", "f.jsonl")
    assert (report["taken"], report["frames"], report["dropped"]) == (6, 6, {})
    lines = [json.loads(line) for line in (here / "f.jsonl").read_text().splitlines()]
    for at, (before, line) in enumerate(zip(stills, lines, strict=True)):
        after = read_picture(here / "out" / f"{at}.png")
        (face,) = line["answers"]["faces"]["found"]
        wide, high = face["right"] - face["left"], face["bottom"] - face["top"]
        # As ``privacy`` says how far around the box it covers, and a pixel for rounding.
        left, right = face["left"] - 0.22 * wide, face["right"] + 0.22 * wide
        top, bottom = face["top"] - 0.55 * high, face["bottom"] + 0.22 * high
        covered = np.zeros((144, 176), bool)
        covered[
            max(0, round(top * 144) - 1) : round(bottom * 144) + 1,
            max(0, round(left * 176) - 1) : round(right * 176) + 1,
        ] = True
        assert 0.02 < covered.mean() < 0.6
        assert np.array_equal(after[~covered], before[~covered])
        inside = np.abs(after.astype(int) - before)[
            round(face["top"] * 144) : round(face["bottom"] * 144),
            round(face["left"] * 176) : round(face["right"] * 176),
        ]
        assert (inside.max(axis=2) > 0).mean() > 0.9


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


@over("nats", "mosquitto")
async def test_what_is_found_goes_to_a_broker(server: Server) -> None:
    heard: list[bytes] = []
    listener = server.connect("fleet")
    listener.subscribe("edge/v1/pipelines/porch", lambda message: heard.append(message.payload))
    user = fleet_user("f-secret")
    Path("secret").write_text(f"{user.password}\n", encoding="utf-8")
    async with running(listener):
        words = ["--input", asset("carphone"), "--output", "out.mp4", "--json"]
        to = ["--mqtt", f"{server.url}/edge/v1/pipelines/porch", "--mqtt-user", user.name]
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edge_sdk", "demo", "video"),
            *(str(word) for word in [*words, *to, "--mqtt-password-file", "secret"]),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await program.communicate()
        assert program.returncode == 0
        report = json.loads(out)
        await eventually(lambda: len(heard) + sum(report["missed"].values()) >= 120)
    assert len(heard) + sum(report["missed"].values()) == report["frames"] == 120
    assert len(heard) > 60
    first = json.loads(heard[0])
    assert (first["stream"], first["index"]) == ("carphone_pristine.mp4", 0)
    (face,) = first["answers"]["faces"]["found"]
    assert 0 <= face["left"] < face["right"] <= 1


def test_mediapipe_tasks_finds_and_does_the_same(edge: Edge, here: Path) -> None:
    """In a process of MediaPipe's own Python: this one's OpenCV and that one's share none."""
    for name, backend in (("ours", []), ("theirs", ["--backend", "mediapipe"])):
        words = ["--effect", "both", "--lines", f"{name}.jsonl", "--output", f"{name}.avi"]
        report = made(edge, *words, *backend)
        assert (report["frames"], report["with_faces"], report["dropped"]) == (120, 120, {})
        assert report["backend"] == (backend[1] if backend else None)
    ours, theirs = (
        [json.loads(line)["answers"] for line in (here / f"{name}.jsonl").read_text().splitlines()]
        for name in ("ours", "theirs")
    )
    for mine, yours in zip(ours, theirs, strict=True):
        (face,), (other,) = mine["faces"]["found"], yours["faces"]["found"]
        # Tasks rounds boxes to whole pixels, of which this picture has few.
        for side, pixels in (("left", 176), ("right", 176), ("top", 144), ("bottom", 144)):
            assert abs(face[side] - other[side]) * pixels < 3
        assert mine["person"]["share"] == pytest.approx(yours["person"]["share"], abs=0.02)
    for mine, yours in zip(pictures(here / "ours.avi"), pictures(here / "theirs.avi"), strict=True):
        assert np.abs(mine.astype(int) - yours).mean() < 3


def test_mediapipe_tasks_on_photos_sees_as_far(edge: Edge, here: Path) -> None:
    found = {}
    for name, backend in (("ours", []), ("theirs", ["--backend", "mediapipe"])):
        words = ["--input", asset("photos"), "--lines", f"{name}.jsonl", "--output", name]
        made(edge, *words, *backend)
        lines = (here / f"{name}.jsonl").read_text().splitlines()
        found[name] = [json.loads(line)["answers"]["faces"]["found"] for line in lines]
    assert [len(faces) for faces in found["ours"]] == [len(faces) for faces in found["theirs"]]
    assert sum(map(len, found["ours"])) >= 1
    for mine, yours in zip(found["ours"], found["theirs"], strict=True):
        for face, other in zip(mine, yours, strict=True):
            for side in ("left", "top", "right", "bottom"):
                wide = face["right"] - face["left"]
                assert face[side] == pytest.approx(other[side], abs=0.02 * wide)


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


def test_a_person_at_a_terminal_sees_how_far_it_is(here: Path) -> None:
    """Standard error is a terminal; nothing of the line is left at the end."""
    terminal, end = pty.openpty()
    words = ["--input", "synthetic:1280x720@30x200", "--output", "out.mp4"]
    done = subprocess.run(
        [sys.executable, "-m", "edge_sdk", "demo", "video", *words],
        stdout=subprocess.PIPE,
        stderr=end,
        check=True,
    )
    os.close(end)
    said = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert re.search(r"\r\x1b\[K\d+ frames", said), said
    assert said.endswith("\r\x1b[K")
    assert b"200 of 200 frames" in done.stdout


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
        (["--input", ""], 2, "No source is named"),
        (["--input", "synthetic:99999x99999"], 2, "no test card of 99999 x 99999"),
        (["--seconds", "0"], 2, "--seconds is 0"),
        (["--seconds", "inf"], 2, "--seconds is inf"),
        (["--faces-model", here / "none.edge"], 2, "none.edge"),
        (["--input", asset("photos"), "--window"], 2, "Leave out --window"),
        (["--window"], 3, "edge demo video --live"),
        (["--background", "#00b140"], 2, "--background is for another effect than faces"),
        (["--person-model", "x.edge"], 2, "--person-model is for another effect than faces"),
        (["--effect", "background", "--faces-model", "x.edge"], 2, "another effect"),
        (["--mqtt-user", "me"], 2, "No broker is named"),
        (["--mqtt", "http://127.0.0.1/x"], 2, "no scheme of a broker"),
        (["--mqtt", "mqtt://127.0.0.1/home/#"], 2, "is no topic"),
        (["--mqtt", "mqtt://127.0.0.1/x", "--mqtt-password-file", "none"], 2, "password file"),
        (["--mqtt", "porch"], 2, "'porch' has no scheme of a broker"),
        (["--backend", "tensorrt"], 2, "tensorrt"),
        (["--backend", "mediapip"], 2, "Did you mean 'mediapipe'"),
    ]
    for words, code, said in cases:
        done = edge("demo", "video", *words)
        assert (done.code, said in done.err) == (code, True), f"{words}: {done.code} {done.err}"
        assert "Traceback" not in done.err
    assert sorted(path.name for path in here.iterdir()) == ["clip.mp4", "cut.mp4", "empty.mp4"]


def test_a_broker_that_is_not_there_is_no_success_and_the_pictures_are_kept(
    edge: Edge, here: Path
) -> None:
    done = edge("demo", "video", "--output", "out.mp4", "--mqtt", "mqtt://127.0.0.1:9/porch")
    assert done.code == 3
    assert "Not one of 120 messages got to mqtt://127.0.0.1:9/porch." in done.err
    assert "The pictures are in out.mp4." in done.err
    assert len(pictures(here / "out.mp4")) == 120


def test_a_camera_that_never_answers_is_waited_for_aloud_and_can_be_left(here: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/porch"
        words = ["--input", url, "--live", "0"]
        with subprocess.Popen(
            [sys.executable, "-m", "edge_sdk", "demo", "video", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as program:
            assert program.stderr is not None
            assert program.stderr.readline() == f"Waiting for {url}   Ctrl-C ends it.\n".encode()
            asked, _ = silent.accept()  # it is in its driver now, which waits for ten seconds
            program.send_signal(signal.SIGINT)
            out, err = program.communicate()
            asked.close()
    assert (program.returncode, out, err) == (0, b"No frame has come.\n", b"")


def test_a_page_is_not_announced_for_a_camera_that_is_not_there(edge: Edge, here: Path) -> None:
    done = edge("demo", "video", "--input", "rtsp://127.0.0.1:9/porch", "--live", "127.0.0.1:0")
    assert done.code == 3
    assert "Look at" not in done.err
    assert "127.0.0.1:9" in done.err


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
