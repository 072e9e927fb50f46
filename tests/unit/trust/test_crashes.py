"""A fleet killed before any of its writes leaves a repository that every device can follow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_killed_before_every_write(tmp_path: Path) -> None:
    script = Path(__file__).with_name("crash_points.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    points = json.loads(done.stdout)
    # Each file is at least an open and a rename: keys and roles; four blobs and three roles; …
    least = {
        "first start": 2 * (5 + 5),
        "publish": 2 * (4 + 3),
        "refresh": 2 * 4,
        "rotate root": 2 * 2,
        "rotate targets": 2 * 5,
        "rotate timestamp": 2 * 5,
    }
    assert {name: count >= least[name] for name, count in points.items()} == dict.fromkeys(
        least, True
    ), points
