from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from converters.engines import quiet
from converters.progress import progress

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys
from converters.progress import progress
with progress(sys.stderr) as on_step:
    on_step("open", 0, 0)
    on_step("compare", 0, 300)
    on_step("compare", 256, 300)
    on_step("compare", 300, 300)
    on_step("pack", 0, 0)
"""


def test_a_log_gets_a_line_a_step(capfd):
    with progress(sys.stderr) as on_step:
        on_step("open the source", 0, 0)
        on_step("compare", 0, 300)
        on_step("compare", 256, 300)
        on_step("compare", 300, 300)
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "open the source …\ncompare on 300 samples …\n"


def test_it_is_told_while_an_engine_s_chatter_is_kept_off(capfd):
    with progress(sys.stderr) as on_step, quiet():
        os.write(2, b"chatter")
        on_step("make", 0, 0)
    assert capfd.readouterr().err == "make …\n"


def test_a_stream_that_takes_nothing_stops_nothing():
    with Path("/dev/full").open("w") as full, progress(full) as on_step:
        on_step("open", 0, 0)
        on_step("pack", 0, 0)


def test_without_a_stream_nobody_is_told():
    with progress(None) as on_step:
        on_step("open", 0, 0)


def test_a_terminal_gets_a_moving_line():
    shown = _on_a_terminal(SCRIPT)
    assert shown.count("✓") >= 3
    assert "300/300" in shown
    assert shown.index("open") < shown.index("compare") < shown.index("pack")


def test_a_terminal_without_rich_gets_plain_lines():
    without = "import sys\nsys.modules['rich'] = None\n" + SCRIPT
    assert _on_a_terminal(without).splitlines() == ["open …", "compare on 300 samples …", "pack …"]


def _on_a_terminal(script: str) -> str:
    """What the script writes to a stderr that is a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-c", script], stderr=theirs, cwd=ROOT, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 65536):
                shown += block
        except OSError:  # Linux says EIO when the last writer has closed a terminal
            pass
        finally:
            os.close(ours)
    if process.returncode:
        pytest.fail(shown.decode())
    return shown.decode()
