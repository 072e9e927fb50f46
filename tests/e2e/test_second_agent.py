"""The whole demo, kept running, and the README's five commands to an agent of the reader's own.

One test: the demo is the longest story there is, so it is told once. It fails by itself if any
chapter does not happen; here its outcome is read again from what it answers, and from the fleet.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patience import ended, turns

from examples.assets import asset

ROOT = Path(__file__).parents[2]
EDGE = str(Path(sys.executable).parent / "edge")
MARK = "<!-- executed by tests/e2e/test_second_agent.py"
STORY_S = 600
RUNS_NOW = "All of it still runs"


def five_commands() -> list[str]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"{re.escape(MARK)}[^\n]*-->\n```console\n(.*?)```", readme, re.S)
    commands = [line.removeprefix("$ ") for line in block.splitlines()]
    assert len(commands) == 5
    return commands


class Demo:
    """``edge demo loop --keep``, until it is told to go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        words = ["demo", "loop", "--keep", "--output", str(folder / "demo"), "--json"]
        self.answer = (folder / "answer.json").open("w+b")
        self.log = (folder / "log").open("w+b")
        self.process = subprocess.Popen([EDGE, *words], stdout=self.answer, stderr=self.log)

    @property
    def said(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def wait_until_kept(self) -> None:
        for _ in turns(STORY_S):
            if RUNS_NOW in self.said:
                return
            assert self.process.poll() is None, self.said
        raise AssertionError(self.said)

    def fleet(self, *words: str) -> Any:
        done = edge("fleet", *words, "--data", "demo/fleet", "--json", cwd=self.folder)
        return json.loads(done.stdout)

    def end(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGTERM)
        assert ended(self.process, 60, lambda: self.said) == 0, self.said
        self.answer.seek(0)
        found: dict[str, Any] = json.loads(self.answer.read())
        return found

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.answer.close()
        self.log.close()


def edge(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [EDGE, *words], cwd=cwd, capture_output=True, text=True, check=False, timeout=STORY_S
    )
    assert done.returncode == 0, f"edge {' '.join(words)}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    shutil.copy(asset("face-detection-short-range"), tmp_path / "mine.tflite")
    (tmp_path / "inputs").mkdir()
    rng = np.random.default_rng(5)
    np.save(tmp_path / "inputs" / "noise.npy", rng.random((3, 128, 128, 3), np.float32))
    made = Demo(tmp_path)
    yield made
    made.close()


def test_the_loop_and_a_second_agent(demo: Demo) -> None:
    demo.wait_until_kept()
    agent = second_agent(demo)
    try:
        status = json.loads(
            edge("agent", "status", "--state", "pi-2", "--json", cwd=demo.folder).stdout
        )
        mine = status["apps"]["mine"]
        assert mine["state"]["state"] == "committed"
        assert mine["worker"]["inferences"] > 0
        assert mine["worker"]["errors"] == 0
        devices = {d["device"]: d for d in demo.fleet("devices")["devices"]}
        assert devices["pi-2"]["apps"]["mine"]["serving"] == "mine@1.0.0"
    finally:
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(60) == 0
    assert_it_happened(demo.end())


def second_agent(demo: Demo) -> subprocess.Popen[bytes]:
    """Type the five commands; answers the process that the fourth leaves running."""
    agent = None
    for typed in five_commands():
        words = shlex.split(typed)
        assert words[0] == "edge"
        if words[-1] == "&":
            with (demo.folder / "agent.log").open("wb") as log:
                agent = subprocess.Popen(
                    [EDGE, *words[1:-1]], cwd=demo.folder, stdout=log, stderr=log
                )
        else:
            edge(*words[1:], cwd=demo.folder)
    assert agent is not None
    return agent


def assert_it_happened(told: dict[str, Any]) -> None:
    """What the demo says came to pass, numbers included."""
    accuracy = told["converted"]
    assert accuracy["1.1.0"]["tflite-int8"] > accuracy["1.0.0"]["tflite-int8"]
    assert accuracy["1.2.0"]["tflite-int8"] < accuracy["1.0.0"]["tflite-int8"] - 0.1
    stages = {name: r["rollout"]["stage"] for name, r in told["rollouts"].items()}
    assert stages == {
        "fashion@1.0.0": "done",
        "faces@1.0.0": "done",
        "fashion@1.1.0": "done",
        "fashion@1.2.0": "rolled_back",
    }
    bad = told["rollouts"]["fashion@1.2.0"]
    (reason,) = [line for line in bad["evidence"] if line["outcome"] == "failed"]
    assert reason["measure"] == "disagreement"
    assert len(bad["canaries"]) == 1
    assert told["drift"] == {
        "cam-1": "steady",
        "cam-2": "steady",
        "cam-3": "steady",
        "cam-4": "drifting",
    }
    serving = {d: s["apps"]["fashion"]["serving"] for d, s in told["devices"].items()}
    assert serving == dict.fromkeys(told["drift"], "fashion@1.1.0")
    assert told["page"].startswith("http://127.0.0.1:")
