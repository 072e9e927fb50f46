"""Sinks: whole files, a page that shows what comes, answers for programs."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from edge_sdk.broker import Credentials
from edge_sdk.broker.users import fleet_user
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline import Clip, Frame, Pipeline, read_picture, write_picture
from edge_sdk.pipeline.fake_clock import FakeClock
from edge_sdk.pipeline.outputs import (
    Callback,
    JsonLines,
    LivePage,
    MqttTopic,
    PictureFolder,
    Recording,
    Window,
)
from edge_sdk.pipeline.outputs.page import parse_address
from edge_sdk.pipeline.sources import Synthetic, open_source
from edge_sdk.processing import Geometry, Mask
from edge_sdk.spec import Box, Boxes
from tests.brokers import Server, eventually, over, running

FACE = Boxes(found=(Box(left=0, top=0, right=0.5, bottom=0.5, score=0.9, index=0, label="face"),))


class Finds:
    """A stage that always finds the same."""

    name = "faces"

    def process(self, frame: Frame) -> Frame:
        mask = Mask(np.ones((4, 4), np.float32), Geometry(), 0.5)
        frame = frame.answered("faces", FACE).answered("mask", mask)
        return frame.answered("huge", np.zeros(10**4)).answered("few", np.arange(3))


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_recording_has_every_frame_in_its_colours(tmp_path, suffix):
    path = tmp_path / f"card{suffix}"
    Pipeline(Synthetic(64, 48, frames=30, live=False), sinks=[Recording(path, 30)]).run()
    clip = Clip(path)
    frames = list(clip.frames("bgr"))
    assert (len(frames), clip.fps, clip.width, clip.height) == (30, 30, 64, 48)
    assert frames[9].picture[24, 58].astype(int) == pytest.approx([0, 0, 192], abs=60)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_a_live_recording_lasts_as_long_as_what_it_shows(tmp_path):
    class Slow:
        name = "slow"

        def process(self, frame: Frame) -> Frame:
            clock.sleep(0.1)
            return frame

    clock = FakeClock()
    path = tmp_path / "live.mp4"
    source = Synthetic(64, 48, fps=30, frames=60)
    report = Pipeline(source, [Slow()], [Recording(path, 30)], clock=clock).run()
    assert report.done < 25
    assert len(list(Clip(path).frames())) == pytest.approx(60, abs=3)


def test_a_run_that_fails_leaves_no_half_a_video(tmp_path):
    class Fails:
        name = "fails"

        def process(self, frame: Frame) -> Frame:
            if frame.index == 7:
                raise ZeroDivisionError
            return frame

    source = Synthetic(64, 48, frames=30, live=False)
    with pytest.raises(UsageError, match=r"In 'fails', at frame 7 of synthetic"):
        Pipeline(source, [Fails()], [Recording(tmp_path / "x.mp4", 30)]).run()
    assert not list(tmp_path.iterdir())


def test_recordings_that_cannot_be(tmp_path):
    with pytest.raises(UsageError, match="does not end as a video"):
        Recording(tmp_path / "x.gif")
    with pytest.raises(UsageError, match="cannot be written"):
        Recording(tmp_path / "none" / "x.mp4")


def test_a_recording_of_odd_sides_says_what_is_cut(tmp_path):
    path = tmp_path / "odd.mp4"
    report = Pipeline(Synthetic(65, 49, frames=3, live=False), sinks=[Recording(path, 30)]).run()
    assert (Clip(path).width, Clip(path).height) == (64, 48)
    assert "is 64 x 48, and not 65 x 49" in report.warnings[0]


def two_streams() -> list[Synthetic]:
    sizes = {"rtsp://porch/1": (64, 48), "rtsp://porch-1": (32, 24)}
    return [Synthetic(*size, frames=9, live=False, name=name) for name, size in sizes.items()]


def test_streams_are_never_mixed_into_one_file(tmp_path):
    with pytest.raises(UsageError, match=r"x\.mp4 is for one stream, and both 'rtsp://p") as caught:
        Pipeline(two_streams(), sinks=[Recording(tmp_path / "x.mp4", 30)]).run()
    assert "x-{stream}.mp4" in caught.value.hint
    with pytest.raises(UsageError, match="is for one stream"):
        Pipeline(two_streams(), sinks=[PictureFolder(tmp_path / "folder")]).run()
    assert not list(tmp_path.glob("*.mp4"))


def test_each_stream_has_a_file_of_its_own(tmp_path):
    sinks = [Recording(tmp_path / "x-{stream}.mp4", 30), PictureFolder(tmp_path / "{stream}")]
    Pipeline(two_streams(), sinks=sinks).run()
    clips = {path.name: Clip(path) for path in tmp_path.glob("*.mp4")}
    assert {name: (clip.announced, clip.width) for name, clip in clips.items()} == {
        "x-rtsp-porch-1.mp4": (9, 64),
        "x-rtsp-porch-1-2.mp4": (9, 32),
    } or {name: (clip.announced, clip.width) for name, clip in clips.items()} == {
        "x-rtsp-porch-1.mp4": (9, 32),
        "x-rtsp-porch-1-2.mp4": (9, 64),
    }, "whichever came first"
    for folder in ("rtsp-porch-1", "rtsp-porch-1-2"):
        assert len(list((tmp_path / folder).glob("*.jpg"))) == 9


def test_pictures_keep_their_names_and_inputs_are_not_overwritten(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        write_picture(tmp_path / "in" / f"{name}.png", np.full((8, 8, 3), (200, 10, 10), np.uint8))
    source = open_source(tmp_path / "in")
    Pipeline(source, sinks=[PictureFolder(tmp_path / "out")]).run()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    assert read_picture(tmp_path / "out" / "a.png")[0, 0] == pytest.approx([200, 10, 10])
    with pytest.raises(UsageError, match="would be overwritten"):
        Pipeline(source, sinks=[PictureFolder(tmp_path / "in")]).run()
    Pipeline(
        Synthetic(64, 48, frames=2, live=False), sinks=[PictureFolder(tmp_path / "card")]
    ).run()
    assert sorted(path.name for path in (tmp_path / "card").iterdir()) == [
        "000000.jpg",
        "000001.jpg",
    ]


def test_pictures_that_would_be_called_alike_are_numbered(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("face.png", "face.jpg", "other.png"):
        write_picture(tmp_path / "in" / name, np.full((8, 8, 3), 90, np.uint8))
    (tmp_path / "in" / "other.png").rename(tmp_path / "in" / "face")  # a picture all the same
    report = Pipeline(open_source(tmp_path / "in"), sinks=[PictureFolder(tmp_path / "out")]).run()
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert report.done == 3
    assert names == ["face-2.png", "face.jpg", "face.png"]
    # In the folder itself, `face` would become the `face.png` that is still to come.
    before = {path: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(UsageError, match="would be overwritten"):
        Pipeline(open_source(tmp_path / "in"), sinks=[PictureFolder(tmp_path / "link")]).run()
    assert {path: path.read_bytes() for path in (tmp_path / "in").iterdir()} == before


def test_lines_are_whole_and_hold_no_arrays(tmp_path):
    path = tmp_path / "found.jsonl"
    stream = io.BytesIO()
    source = Synthetic(64, 48, frames=3, live=False)
    Pipeline(source, [Finds()], [JsonLines(path)]).run()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["index"] for line in lines] == [0, 1, 2]
    assert lines[2]["answers"]["faces"]["found"][0]["label"] == "face"
    assert lines[2]["answers"]["mask"]["share"] == 1.0
    assert lines[2]["answers"]["few"] == [0, 1, 2]
    assert "huge" not in lines[2]["answers"]
    assert lines[0]["age_ms"] >= 0
    Pipeline(source, [Finds()], [JsonLines(stream)]).run()
    assert len(stream.getvalue().splitlines()) == 3
    with pytest.raises(UsageError):
        JsonLines(tmp_path / "none" / "x.jsonl")


def test_lines_are_not_written_over_what_is_read(tmp_path):
    path = tmp_path / "a.mp4"
    Pipeline(Synthetic(64, 48, frames=3, live=False), sinks=[Recording(path)]).run()
    before = path.read_bytes()
    (tmp_path / "link").hardlink_to(path)
    sources = [Synthetic(64, 48, frames=3, live=False), open_source(path)]
    with pytest.raises(UsageError, match="link is an input and would be overwritten"):
        Pipeline(sources, sinks=[JsonLines(tmp_path / "link")]).run()
    assert path.read_bytes() == before


def test_two_sinks_of_a_kind_have_names_of_their_own(tmp_path):
    sinks = [
        *(JsonLines(tmp_path / "a.jsonl"), JsonLines(tmp_path / "b.jsonl", name="more lines")),
        *(Recording(tmp_path / "a.mp4"), Recording(tmp_path / "b.mp4", 10, name="coarse")),
        *(PictureFolder(tmp_path / "a"), PictureFolder(tmp_path / "b", ".png", name="png")),
        *(MqttTopic("mqtt://127.0.0.1:1", "a", name=name) for name in ("one", "other")),
    ]
    report = Pipeline(Synthetic(64, 48, frames=3, live=False), sinks=sinks).run()
    assert {"lines", "more lines", "recording", "coarse", "pictures", "png"} < set(report.stages)
    assert {where.partition(":")[0] for where in report.missed} == {"coarse", "one", "other"}
    with pytest.raises(UsageError, match="called 'lines'"):
        Pipeline(Synthetic(64, 48), sinks=[JsonLines(tmp_path / name) for name in ("c", "d")])


def test_a_file_of_a_stream_is_called_after_it_once(tmp_path):
    sources = [Synthetic(32, 24, frames=3, live=False, name=f"{n}.mp4") for n in ("a", "b")]
    Pipeline(sources, sinks=[Recording(tmp_path / "x-{stream}.mp4", 30)]).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x-a.mp4", "x-b.mp4"]


def test_gray_pictures_can_be_recorded_and_looked_at(tmp_path):
    class Gray:
        name = "gray"

        def process(self, frame: Frame) -> Frame:
            return frame.shows(np.full((48, 64), 10 * frame.index, np.uint8))

    path = tmp_path / "gray.mp4"
    sinks = [Recording(path, 30), PictureFolder(tmp_path / "stills")]
    report = Pipeline(Synthetic(64, 48, frames=9, live=False), [Gray()], sinks).run()
    assert report.done == 9
    means = [int(frame.picture.mean()) for frame in Clip(path).frames()]
    assert means == pytest.approx([10 * index for index in range(9)], abs=6)
    assert read_picture(tmp_path / "stills" / "000004.jpg").mean() == pytest.approx(40, abs=3)


def get(page: LivePage, path: str, host: str = "", method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", page._server.server_address[1], timeout=9)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_the_page_shows_what_comes():
    page = LivePage(port=0, title="Faces & <co>")
    pipeline = Pipeline(Synthetic(64, 48, fps=60), [Finds()], [page])
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    try:
        status, body = get(page, "/")
        assert status == 200
        assert b"Faces &amp; &lt;co&gt;" in body
        status, jpeg = get(page, "/frame.jpg")
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert (status, picture.shape) == (200, (48, 64, 3))
        status, body = get(page, "/metrics.json")
        report = json.loads(body)
        assert report["done"] > 0
        assert "faces" in report["stages"]
        assert get(page, "/etc/passwd")[0] == 404
        for path in ("/", "/frame.jpg", "/stream.mjpg"):
            assert get(page, path, method="HEAD") == (200, b"")
        # A website that its visitor's browser takes here by a name of its own sees nothing.
        assert get(page, "/frame.jpg", host="evil.example")[0] == 403
        assert get(page, "/frame.jpg", host="localhost")[0] == 200
    finally:
        pipeline.stop()
        thread.join()
    with pytest.raises(OSError):
        get(page, "/")


def test_the_page_shows_one_stream_at_a_time():
    page = LivePage(port=0)
    sources = [
        Synthetic(64, 48, fps=60, name="rtsp://porch/1?a=b&c"),
        Synthetic(32, 24, fps=60, name="garden"),
    ]
    pipeline = Pipeline(sources, sinks=[page])
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    try:
        while len(names := json.loads(get(page, "/streams.json")[1])) < 2:
            time.sleep(0.01)
        assert sorted(names) == ["garden", "rtsp://porch/1?a=b&c"]
        sizes = {"rtsp://porch/1?a=b&c": (48, 64, 3), "garden": (24, 32, 3)}
        for name in [*names, *names]:
            status, jpeg = get(page, f"/frame.jpg?stream={quote(name, safe='')}")
            picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert (status, picture.shape) == (200, sizes[name])
        status, jpeg = get(page, "/frame.jpg")
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == sizes[names[0]]
        assert get(page, "/frame.jpg?stream=cellar")[0] == 404
        assert get(page, "/stream.mjpg?stream=cellar")[0] == 404
    finally:
        pipeline.stop()
        thread.join()


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_the_page_listens_on_ipv6_too():
    try:
        page = LivePage("::1", 0)
    except UnavailableError:
        pytest.skip("this machine has no IPv6")
    assert page.url.startswith("http://[::1]:")
    page._server.server_close()


def test_a_port_that_is_taken_and_addresses():
    page = LivePage(port=0)
    with pytest.raises(UnavailableError, match="cannot listen"):
        LivePage(port=page._server.server_address[1])
    page._server.server_close()
    assert parse_address("8089") == ("127.0.0.1", 8089)
    assert parse_address("0.0.0.0:80") == ("0.0.0.0", 80)
    assert parse_address("[::1]:80") == ("::1", 80)
    with pytest.raises(UsageError, match="no HOST:PORT"):
        parse_address("localhost")


def test_a_window_needs_a_screen():
    if "GUI:                           NONE" in cv2.getBuildInformation():
        with pytest.raises(UnavailableError, match="without windows") as caught:
            Window()
        assert "pip install opencv-python" in caught.value.hint


@over("nats", "memory")
async def test_answers_go_to_a_broker(server: Server) -> None:
    heard: list[bytes] = []
    listener = server.connect("fleet")
    listener.subscribe("edge/v1/pipelines/cam", lambda message: heard.append(message.payload))
    async with running(listener):
        user = fleet_user("f-secret")
        topic = MqttTopic(
            server.url, "edge/v1/pipelines/cam", credentials=Credentials(user.name, user.password)
        )
        source = Synthetic(64, 48, fps=20, frames=30)
        pipeline = Pipeline(source, [Finds()], [topic])
        report = await asyncio.to_thread(pipeline.run)
        missed = sum(report.missed.values())
        await eventually(lambda: len(heard) >= 30 - missed - sum(report.dropped.values()))
    assert len(heard) > 10
    last = json.loads(heard[-1])
    assert (last["stream"], last["index"]) == ("synthetic", 29)
    assert last["answers"]["faces"]["found"][0]["score"] == 0.9


def test_a_broker_that_is_away_holds_nothing_up():
    topic = MqttTopic("mqtt://127.0.0.1:1", "edge/v1/pipelines/cam")
    source = Synthetic(64, 48, frames=30, live=False)
    report = Pipeline(source, sinks=[topic]).run()
    assert report.done == 30
    assert sum(report.missed.values()) == 30
    assert set(report.missed) == {
        "mqtt: the broker did not take it in time",
        "mqtt: the broker was away",
    }
    assert "MQTT" in report.warnings[0]


@pytest.mark.parametrize("topic", ["", "home/#", "home/+/porch", "a\0b"])
def test_a_pattern_is_no_topic(topic):
    with pytest.raises(UsageError, match="is no topic to publish on"):
        MqttTopic("mqtt://127.0.0.1:1", topic)


def test_a_callback_gets_every_frame():
    seen: list[Frame] = []
    Pipeline(Synthetic(64, 48, frames=5, live=False), sinks=[Callback(seen.append)]).run()
    assert [frame.index for frame in seen] == list(range(5))
    assert seen[0].source == Path("synthetic")


def test_a_disk_that_is_full(tmp_path):
    """A limit on the size of files stands for it: no write beyond it succeeds."""
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "from edge_sdk.pipeline import Pipeline\n"
        "from edge_sdk.pipeline.outputs import Recording\n"
        "from edge_sdk.pipeline.sources import open_source\n"
        "Pipeline(open_source('synthetic:640x480x60'), [], [Recording(sys.argv[1], 30)]).run()\n"
    )
    out = tmp_path / "out.mp4"
    command = [sys.executable, "-c", program, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = re.search(r"Only (-?\d+) of 60 frames could be written", done.stderr)
    assert said is not None, done.stderr
    assert 0 <= int(said[1]) < 60
    assert not list(tmp_path.iterdir())
