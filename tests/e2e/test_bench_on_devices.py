"""What a model costs on a device, measured there, told to the fleet, and held to by a budget."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fleet_process import EDGE, FleetProcess
from patience import ended, turns

from converters.budget import device_latencies

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "artifact"))
import artifact_samples as samples

APP = "scaler"
ON_DEVICE = (os.environ["EDGELOOP_TEST_DEVICE"],) if "EDGELOOP_TEST_DEVICE" in os.environ else EDGE
"""The device's own ``edge``: with ``scripts/pythons`` another Python's, of an installed wheel."""
QUICK = {
    "EDGELOOP_AGENT_PROBATION_S": "0.5",
    "EDGELOOP_AGENT_PROBATION_INFERENCES": "1",
    "EDGELOOP_AGENT_WINDOW_S": "0.5",
}


@pytest.fixture
def agent(fleet: FleetProcess, tmp_path: Path) -> Iterator[Path]:
    """The state folder of a running agent; its application serves what is published."""
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    np.save(inputs / "x.npy", samples.X[0])
    artifact = tmp_path / "scale-1.2.0.edge"
    samples.write(artifact)
    fleet.edge("publish", str(artifact))
    fleet.enroll("pi-1")
    state = tmp_path / "state"
    place = ["--enrolment", str(tmp_path / "pi-1.enrolment.json"), "--state", str(state)]
    with (tmp_path / "agent-log").open("wb") as log:
        process = subprocess.Popen(
            [*ON_DEVICE, "agent", "run", *place, "--app", f"{APP}={inputs}"],
            env={**os.environ, **QUICK},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        words = ["rollout", "start", "scale@1.2.0", "--app", APP, "--to", "pi-1", "--wait"]
        fleet.edge(*words, "--limit", "soak_s=0.1", "--limit", "min_inferences=1")
        yield state
    finally:
        process.send_signal(signal.SIGTERM)
        assert ended(process, 30, (tmp_path / "agent-log").read_text) == 0


def on_device(*words: str, code: int = 0) -> Any:
    command = [*ON_DEVICE, *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout or done.stderr.splitlines()[-1])


def eventually(found: Callable[[], Any]) -> Any:
    for _ in turns(30):
        answer = found()
        if answer:
            return answer
    raise AssertionError("never")


def test_a_devices_measurements_are_kept_and_budgets_can_take_them(
    fleet: FleetProcess, agent: Path, tmp_path: Path
) -> None:
    assert fleet.edge("bench")["benches"] == []
    place = ("--state", str(agent), "--seconds", "0.2")

    told = on_device("agent", "bench", APP, *place)
    assert told["model"] == "scale@1.2.0"
    assert told["profile"]["name"] == "pi-1"
    (kept,) = eventually(lambda: fleet.edge("bench", "pi-1")["benches"])
    assert (kept["device"], kept["model"], kept["report"]) == ("pi-1", "scale@1.2.0", told)

    saved = tmp_path / "pi-1.json"
    fleet.edge("bench", "pi-1", "scale", "--save", str(saved))
    assert set(device_latencies(saved)) == {"onnx-fp32"}

    own = tmp_path / "own.json"
    whole = on_device("bench", str(tmp_path / "scale-1.2.0.edge"), "--seconds", "0.2")
    own.write_text(json.dumps(whole))
    assert on_device("agent", "bench", str(own), *place)["artifact"]["name"] == "scale"
    (newer,) = eventually(
        lambda: [
            each for each in fleet.edge("bench")["benches"] if each["report"] != kept["report"]
        ]
    )
    assert newer["model"] == "scale@1.2.0"  # in place of the older one

    assert "no application 'scalr'" in on_device("agent", "bench", "scalr", *place, code=2)["error"]
    own.write_text("{}")
    assert "own.json" in on_device("agent", "bench", str(own), *place, code=2)["error"]
    assert "no 'flowers'" in fleet.edge("bench", "pi-1", "flowers", code=2)["error"]
    assert "no device 'pi-9'" in fleet.edge("bench", "pi-9", code=2)["error"]
