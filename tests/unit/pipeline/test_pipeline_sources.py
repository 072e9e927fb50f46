"""Sources: named, opened, refused with the reason, and back after they were gone."""

from __future__ import annotations

import http.server
import os
import pickle
import socket
import threading
import time
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline import Frame, Pipeline, write_picture
from edge_sdk.pipeline.fake_clock import FakeClock
from edge_sdk.pipeline.outputs import Callback, LivePage
from edge_sdk.pipeline.sources import (
    Camera,
    ClipSource,
    FolderSource,
    GStreamerSource,
    NetworkStream,
    PiCamera,
    Synthetic,
    nvargus,
    open_source,
)
from edge_sdk.pipeline.sources.limited import Limited
from examples.assets import asset
from tests.streams import RtspServer


def watched(source, until: int, does=lambda frame: None, **options):
    """Run a source until so many frames have come; what came, and the report."""
    frames: list[Frame] = []

    def take(frame: Frame) -> None:
        frames.append(frame)
        does(frame)
        if len(frames) >= until:
            pipeline.stop()

    pipeline = Pipeline(source, sinks=[Callback(take)], policy="block", **options)
    return frames, pipeline.run()


@pytest.fixture(scope="module")
def rtsp():
    with RtspServer(asset("carphone").parent) as server:
        yield server


def test_a_video_is_given_as_it_is_decoded():
    frames, report = watched(open_source(asset("carphone")), 10**6)
    assert len(frames) == report.done == 120
    assert {frame.colour for frame in frames} == {"bgr"}
    assert [frame.index for frame in frames] == list(range(120))
    assert frames[60].time_s == pytest.approx(60 / 29.97, abs=0.02)
    assert not report.warnings
    turned = frames[0].rgb()
    assert np.array_equal(turned[..., ::-1], frames[0].picture)


def test_a_paced_video_takes_its_time_and_begins_again():
    clock = FakeClock()
    source = open_source(asset("carphone"), paced=True, repeat=True)
    assert source.live
    frames, report = watched(source, 150, clock=clock)
    assert [frame.index for frame in frames[:150]] == list(range(150))
    assert report.seconds == pytest.approx(149 / 29.97, abs=0.1)


def test_a_cut_off_video_says_so(tmp_path):
    import cv2

    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    noise = np.random.default_rng(5)
    for _ in range(20):
        writer.write(noise.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames, report = watched(ClipSource(path), 100)
    assert 0 < len(frames) < 20
    assert f"{len(frames)} of 20 frames can be decoded" in report.warnings[0]


def test_a_folder_leaves_out_what_is_damaged_and_says_so(tmp_path):
    for name in "abc":
        write_picture(tmp_path / f"{name}.png", np.full((9, 9, 3), 77, np.uint8))
    (tmp_path / "d.jpg").touch()
    (tmp_path / "e.jpg").write_text("no picture")
    cut = tmp_path / "b.png"
    cut.write_bytes(cut.read_bytes()[:50])
    source = open_source(tmp_path)
    assert isinstance(source, FolderSource)
    frames, report = watched(source, 9)
    assert [frame.source.name for frame in frames] == ["a.png", "c.png"]
    assert report.dropped == {f"{tmp_path.name}: a damaged picture": 3}
    assert [said.split()[0] for said in report.warnings] == [
        str(tmp_path / name) for name in ("b.png", "d.jpg", "e.jpg")
    ]
    assert "is empty" in report.warnings[1]
    for name in "ac":
        (tmp_path / f"{name}.png").write_bytes(cut.read_bytes())
    with pytest.raises(UsageError, match="not a whole picture"):
        watched(open_source(tmp_path), 9)


def test_the_test_card_keeps_time_and_moves():
    clock = FakeClock()
    frames, report = watched(open_source("synthetic:64x48@20x40", paced=True), 99, clock=clock)
    assert len(frames) == 40
    assert report.seconds == pytest.approx(39 / 20, abs=1e-6)
    assert [frame.taken_s for frame in frames] == pytest.approx([at / 20 for at in range(40)])
    assert frames[0].picture.shape == (48, 64, 3)
    assert not np.array_equal(frames[0].picture, frames[20].picture)
    assert np.array_equal(frames[7].picture, Synthetic(64, 48).picture(7))
    assert open_source("synthetic").live
    assert not open_source("synthetic:64x48x5").live
    with pytest.raises(UsageError, match=r"no test card of 0 x 48, 30 frames a second\."):
        Synthetic(0, 48)


def test_a_picture_without_pixels_goes_no_further():
    class Broken:
        name, live = "broken", False

        def stream(self, running):
            good = np.zeros((4, 4, 3), np.uint8)
            yield from (Frame(p, Path("x")) for p in (good, good[:0], good[:, :0], good))

    frames, report = watched(Broken(), 9)
    assert len(frames) == 2
    assert report.dropped == {"broken: an empty picture": 2}
    assert report.taken == 4


def test_cameras_that_are_not_there(tmp_path):
    with pytest.raises(UnavailableError, match=r"no camera /dev/video63") as caught:
        open_source("63")
    assert "v4l2-ctl" in caught.value.hint
    with pytest.raises(UnavailableError, match="is no camera"):
        Camera("/dev/null").open()
    with pytest.raises(UsageError, match="is no device"):
        Camera(str(asset("carphone")))


def test_what_this_machine_lacks_is_said_with_what_mends_it():
    """Where it has them, there is nothing to refuse."""
    import cv2

    try:
        import picamera2  # noqa: F401
    except ImportError:
        with pytest.raises(UnavailableError, match="picamera2") as caught:
            open_source("picamera:0")
        assert "apt install python3-picamera2" in caught.value.hint
        assert isinstance(PiCamera, type)
    assert "nvarguscamerasrc sensor-id=1" in nvargus(1)
    with pytest.raises(UsageError, match="appsink"):
        GStreamerSource("videotestsrc ! fakesink")
    if "GStreamer:                   NO" in cv2.getBuildInformation():
        for word in ("nvargus:0", "gstreamer:videotestsrc ! appsink"):
            with pytest.raises(UnavailableError, match="without GStreamer") as caught:
                open_source(word)
            assert "apt install python3-opencv" in caught.value.hint
    with pytest.raises(UsageError, match="names no camera"):
        open_source("nvargus:front")


def test_addresses_are_checked_and_secrets_never_shown():
    for word in ("ftp://host/x", "rtsp://", "rtsp://host:port/x", "rtsp://me:hidden@host:99999/x"):
        with pytest.raises(UsageError) as caught:
            open_source(word)
        assert "hidden" not in str(caught.value)
    port = _silent_port()
    stream = NetworkStream(f"rtsp://me:hidden@127.0.0.1:{port}/x", open_timeout_s=0.2)
    assert stream.address == f"rtsp://me:***@127.0.0.1:{port}/x"
    with pytest.raises(UnavailableError) as refused:
        stream.open()
    assert "hidden" not in str(refused.value)


def _silent_port() -> int:
    """A port that takes connections and never says a word."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    _kept.append(listener)
    return int(listener.getsockname()[1])


_kept: list[socket.socket] = []


@pytest.fixture(autouse=True)
def ports_closed():
    yield
    while _kept:
        _kept.pop().close()


def test_a_server_that_says_nothing_is_given_up_in_time():
    started = time.monotonic()
    stream = NetworkStream(f"rtsp://127.0.0.1:{_silent_port()}/x", open_timeout_s=0.5)
    with pytest.raises(UnavailableError, match=r"nobody answers within 0\.5 s"):
        watched(stream, 1)
    assert time.monotonic() - started < 5


def test_frames_of_a_stream_name_its_address(rtsp):
    stream = NetworkStream(rtsp.url("carphone_pristine.mp4"))
    seen: list[Frame] = []

    def take(frame: Frame) -> None:
        seen.append(pickle.loads(pickle.dumps(frame)))
        pipeline.stop()

    pipeline = Pipeline(stream, sinks=[Callback(take)])
    pipeline.run()
    assert seen[0].source == stream.address
    assert seen[0].source.startswith("rtsp://127.0.0.1:")


def test_rtsp_freezes_and_thaws(rtsp):
    stream = NetworkStream(
        rtsp.url("carphone_pristine.mp4"),
        open_timeout_s=1.0,
        read_timeout_s=0.7,
        patience_s=30,
        retry_s=0.1,
    )
    frozen: list[float] = []

    def freeze_once(frame: Frame) -> None:
        if frame.index == 10:
            frozen.append(time.monotonic())
            rtsp.freeze()
            threading.Timer(2.5, rtsp.thaw).start()

    frames, report = watched(stream, 40, freeze_once)
    assert [frame.index for frame in frames[:40]] == list(range(40))
    assert frames[5].picture.shape == (144, 176, 3)
    assert time.monotonic() - frozen[0] > 2.5
    assert "broke off after" in report.warnings[0]
    assert stream.fps == pytest.approx(29.97, abs=0.1)
    ages = [later.taken_s - earlier.taken_s for earlier, later in pairwise(frames)]
    assert max(ages) > 0.7  # the gap is one, not filled with old pictures


def test_rtsp_that_is_killed_and_started_again_and_one_that_stays_away():
    with RtspServer(asset("carphone").parent) as server:
        wishes = {"open_timeout_s": 2.0, "read_timeout_s": 1.0, "retry_s": 0.1}
        url = server.url("carphone_pristine.mp4")

        def restart(frame: Frame) -> None:
            if frame.index == 8:
                server.kill()
                threading.Timer(0.5, server.start).start()

        frames, report = watched(NetworkStream(url, patience_s=30, **wishes), 60, restart)
        assert len(frames) >= 60
        assert len(report.warnings) == 1

        def kill(frame: Frame) -> None:
            if frame.index == 5:
                server.kill()

        with pytest.raises(UnavailableError, match="has not come back for") as caught:
            watched(NetworkStream(url, patience_s=0.5, **wishes), 10**6, kill)
        assert caught.value.exit_code == 3
        assert caught.value.message.startswith("In 'rtsp://127.0.0.1:")


def test_motion_jpeg_over_http():
    card = Synthetic(64, 48, fps=30)
    page = LivePage(port=0)
    source = Pipeline(card, sinks=[page])
    thread = threading.Thread(target=source.run)
    thread.start()
    try:
        frames, _ = watched(NetworkStream(page.url + "stream.mjpg", open_timeout_s=5), 12)
    finally:
        source.stop()
        thread.join()
    assert frames[11].picture.shape == (48, 64, 3)
    # Colours of the bars, through a JPEG: grey on the left, red on the right (BGR).
    assert frames[5].picture[4, 3].astype(int) == pytest.approx([192, 192, 192], abs=70)


def test_a_video_file_on_a_web_server_is_read_to_its_end():
    folder = asset("carphone").parent
    handler = partial(_Ranges, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/carphone_pristine.mp4"
        source = open_source(url)
        frames, report = watched(source, 10**6)
        server.shutdown()
        thread.join()
    assert len(frames) == 120
    assert not report.warnings


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """Python's own server gives whole files only; a video's index lies at its end."""

    def do_GET(self) -> None:
        whole = Path(self.translate_path(self.path)).read_bytes()
        wish = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        first, last = int(wish[0]), int(wish[2] or len(whole) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(whole)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        with suppress(OSError):  # who seeks, hangs up
            self.wfile.write(whole[first : last + 1])

    def log_message(self, *_: object) -> None:
        pass


class _Pipe:
    """A capture that reads from a pipe, and hangs in the kernel while nothing is written."""

    def __init__(self) -> None:
        self.ours, self.theirs = os.pipe()
        self.released = False

    def read(self):
        return True, np.full((2, 2, 3), os.read(self.ours, 1)[0], np.uint8)

    def release(self) -> None:
        self.released = True
        os.close(self.ours)


def test_a_driver_that_hangs_is_given_up_in_time():
    pipe = _Pipe()
    capture = Limited(lambda: pipe, read_timeout_s=0.2)
    os.write(pipe.theirs, b"\x07")
    there, picture = capture.read()
    assert (there, picture[0, 0, 0]) == (True, 7)
    assert capture.read()[0] is False
    os.close(pipe.theirs)  # now it wakes, to nothing: the source has opened another by then
    capture.release()
    assert pipe.released
    hangs = threading.Event()
    with pytest.raises(TimeoutError):
        Limited(hangs.wait, open_timeout_s=0.1)
    hangs.set()
    with pytest.raises(UnavailableError, match="no lens"):
        Limited(_no_lens)


def _no_lens():
    raise UnavailableError("There is no lens.")
