"""Video4Linux by OpenCV's own driver, on a camera that is a library (v4l2_camera.c)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk.pipeline import write_picture
from edge_sdk.pipeline.sources import Synthetic

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="there is no gcc, or no V4L2"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("camera") / "v4l2_camera.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, HERE / "v4l2_camera.c"], check=True)
    return library


def watched(library: Path, folder: Path, **more: str) -> dict[str, object]:
    path, card = folder / "video0", folder / "card.jpg"
    write_picture(card, Synthetic(64, 48).picture(0)[..., ::-1])
    path.symlink_to("/dev/null")  # a device, for whoever looks at what it is
    camera = {"LD_PRELOAD": str(library), "CAMERA_PATH": str(path), "CAMERA_JPEG": str(card)}
    done = subprocess.run(
        [sys.executable, HERE / "watch_camera.py", path],
        env={**os.environ, **camera, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, ""), "OpenCV's own words are kept off the terminal"
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def seen(library: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a program saw whose camera was unplugged twice, and came back once."""
    return watched(library, tmp_path_factory.mktemp("watched"))


def test_pictures_come_as_the_camera_gives_them(seen):
    assert seen["shape"] == [48, 64, 3]
    assert seen["pixel"] == pytest.approx([0, 0, 192], abs=60), "red, in BGR, through a JPEG"
    assert seen["fps"] == 30


def test_a_camera_that_is_unplugged_and_comes_back_goes_on(seen):
    assert seen["indices"][-1] >= 25
    assert seen["indices"] == sorted(set(seen["indices"]))
    assert seen["taken"] == seen["done"] + sum(seen["dropped"].values())
    assert len(seen["warnings"]) == 1
    assert "broke off after" in seen["warnings"][0]


def test_a_camera_that_stays_away_ends_the_run(seen):
    assert "has not come back for" in seen["gone"]
    assert "There is no camera" in seen["gone"]


@pytest.mark.parametrize("at", ["start", "read"])
def test_a_camera_that_opens_and_gives_nothing_is_given_up(library, tmp_path, at):
    """It is opened again and again, at a pace, and not for ever; nor does a driver that hangs."""
    seen = watched(library, tmp_path, CAMERA_FAILS=at)
    assert seen["indices"] == []
    assert "broke off after 0 frames and has not come back for" in seen["gone"]
    assert "it opens, and gives no pictures" in seen["gone"]
