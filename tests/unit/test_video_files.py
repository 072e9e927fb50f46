"""What ``edge demo video`` reads is never written over, whatever it is called by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.demos.video import VideoDemo
from edge_sdk.errors import UsageError
from edge_sdk.pipeline import VideoFile, write_picture

PICTURE = np.full((48, 64, 3), 90, np.uint8)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with a clip under four names and a folder of pictures."""
    monkeypatch.chdir(tmp_path)
    for name in ("in.mp4", "demo-faces.mp4"):
        with VideoFile(Path(name), 10) as sink:
            for _ in range(5):
                sink.write(PICTURE)
    Path("soft.mp4").symlink_to("in.mp4")
    Path("hard.mp4").hardlink_to("in.mp4")
    Path("pics").mkdir()
    write_picture("pics/a.png", PICTURE)
    for name in ("x.edge", "secret"):
        Path(name).write_text("kept")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"source": "in.mp4", "lines": "in.mp4", "output": "o.mp4"}, "in.mp4 is an input"),
        ({"source": "in.mp4", "lines": "./soft.mp4"}, "soft.mp4 is an input"),
        ({"source": "soft.mp4", "lines": "in.mp4"}, "in.mp4 is an input"),
        ({"source": "in.mp4", "lines": "hard.mp4"}, "hard.mp4 is an input"),
        ({"source": "in.mp4", "output": "hard.mp4"}, "hard.mp4 is an input"),
        ({"source": "in.mp4", "output": "pics/../in.mp4"}, "in.mp4 is an input"),
        ({"source": "demo-faces.mp4"}, "demo-faces.mp4 is an input"),
        ({"source": "pics", "lines": "pics/a.png"}, "a.png is an input"),
        ({"source": "in.mp4", "lines": "x.edge", "faces_model": "x.edge"}, "x.edge is an input"),
        (
            {"source": "in.mp4", "lines": "pics/a.png", "effect": "background",
             "background": "pics/a.png"},
            "a.png is an input",
        ),
        (
            {"source": "in.mp4", "lines": "secret", "mqtt": "mqtt://h/t",
             "mqtt_password_file": "secret"},
            "secret is an input",
        ),
        ({"source": "in.mp4", "lines": "o.mp4", "output": "pics/../o.mp4"}, "are the same file"),
        ({"source": "in.mp4", "lines": "demo-both.mp4", "effect": "both"}, "are the same file"),
    ],
)  # fmt: skip
def test_no_input_and_no_other_output_is_written_over(here: Path, words, said) -> None:
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    paths = ("lines", "output", "faces_model", "mqtt_password_file")
    given = {name: Path(word) if name in paths else word for name, word in words.items()}
    with pytest.raises(UsageError, match=said) as caught:
        VideoDemo(say=lambda _: None, **given).run()
    assert "another" in caught.value.hint
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
