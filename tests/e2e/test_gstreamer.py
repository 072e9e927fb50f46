"""GStreamer for real, by Debian's own Python and OpenCV: PyPI's are built without it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = Path("/usr/bin/python3")
PICTURES = "video/x-raw,width=320,height=240,framerate=30/1 ! videoconvert ! video/x-raw,format=BGR"
PROGRAM = """
    import json, sys
    from edge_sdk.errors import EdgeError
    from edge_sdk.pipeline import Pipeline
    from edge_sdk.pipeline.outputs import Callback
    from edge_sdk.pipeline.sources import GStreamerSource

    seen = []
    def look(frame):
        seen.append(frame)
        if len(seen) == 40:
            pipeline.stop()

    source = GStreamerSource(sys.argv[1], open_timeout_s=float(sys.argv[2]))
    pipeline = Pipeline(source, [], [Callback(look)])
    try:
        report = pipeline.run()
    except EdgeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    shape, indices = seen[0].picture.shape, [frame.index for frame in seen]
    white, warnings = seen[0].picture[5, 5].tolist(), report.warnings
    print(json.dumps([shape, white, indices, source.fps, warnings]))
"""


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The beginning of a command line: Debian's Python, and where it finds ours and msgspec."""
    probe = "import sys, cv2; print(sys.version_info[:2], cv2.getBuildInformation())"
    found = subprocess.run([SYSTEM, "-c", probe], capture_output=True, text=True, check=False)
    if found.returncode or "GStreamer:                   YES" not in found.stdout:
        pytest.skip("apt install python3-opencv gstreamer1.0-plugins-base")
    if not found.stdout.startswith(str(tuple(sys.version_info[:2]))):
        pytest.skip("the system's Python is another one, and msgspec is compiled for ours")
    folder = tmp_path_factory.mktemp("gstreamer")
    (folder / "msgspec").symlink_to(Path(msgspec.__file__).parent)
    paths = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(folder)!r}]"
    return [str(SYSTEM), "-c", f"{paths}\n{textwrap.dedent(PROGRAM)}"]


def run(words: list[str], pipeline: str, seconds: float = 20) -> subprocess.CompletedProcess[str]:
    more = [pipeline, str(seconds)]
    return subprocess.run([*words, *more], capture_output=True, text=True, check=False, timeout=120)


def test_pictures_come_and_a_pipeline_that_ends_is_started_again(words: list[str]) -> None:
    done = run(words, f"videotestsrc num-buffers=25 ! {PICTURES} ! appsink")
    assert done.returncode == 0, done.stderr
    shape, white, indices, fps, warnings = json.loads(done.stdout)
    assert (shape, white, fps) == ([240, 320, 3], [255, 255, 255], 30)
    assert indices[:40] == list(range(40))
    assert "gstreamer broke off after 25 frames" in warnings[0]


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ("nosuchelement ! appsink", "does not start 'nosuchelement ! appsink'."),
        # OpenCV itself waits for ever here, as for a Jetson's camera where there is no Jetson.
        (f"nosuchelement ! {PICTURES} ! appsink", "within 2 s; an element may be missing"),
    ],
    ids=["refused", "hangs"],
)
def test_what_does_not_start_is_refused_in_time(words: list[str], pipeline: str, said: str) -> None:
    done = run(words, pipeline, 2)
    assert done.returncode == 3, done.stderr
    assert said in done.stderr
    assert "gst-launch-1.0 '" in done.stderr
