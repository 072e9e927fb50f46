"""A real fleet and a real agent whose camera is away: everybody can see why nothing goes on."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_samples import classifier, pictures
from fleet_process import EDGE, FleetProcess
from patience import ended, turns

from edge_sdk.spec import InputLimits

QUICK = {
    "EDGELOOP_AGENT_PROBATION_S": "0.5",
    "EDGELOOP_AGENT_PROBATION_INFERENCES": "1",
    "EDGELOOP_AGENT_PROBATION_DEADLINE_S": "2",
    "EDGELOOP_AGENT_WINDOW_S": "0.5",
}


@pytest.fixture
def agent(fleet: FleetProcess, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """It runs; the folder of its pictures is not there yet."""
    fleet.enroll("pi-1")
    place = ["--enrolment", str(tmp_path / "pi-1.enrolment.json"), "--state", str(tmp_path / "s")]
    with (tmp_path / "agent-log").open("wb") as log:
        process = subprocess.Popen(
            [*EDGE, "agent", "run", *place, "--app", f"look={tmp_path / 'camera'}"],
            env={**os.environ, **QUICK, **getattr(request, "param", {})},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert ended(process, 30, (tmp_path / "agent-log").read_text) == 0


def eventually(found: Callable[[], Any]) -> Any:
    for _ in turns(60):
        if answer := found():
            return answer
    raise AssertionError("never")


def test_a_rollout_to_a_device_without_input_is_paused_and_says_why(
    fleet: FleetProcess, agent: None, tmp_path: Path
) -> None:
    limits = InputLimits(min_luma=50, min_contrast=0)  # blue is too dark
    fleet.edge("publish", str(classifier(tmp_path / "colour-1.0.0.edge", "1.0.0", guard=limits)))
    words = ["rollout", "start", "colour@1.0.0", "--app", "look", "--to", "pi-1", "--wait"]
    wishes = ("soak_s=0.1", "min_inferences=20", "deadline_s=15")
    report = fleet.edge(*words, *(word for wish in wishes for word in ("--limit", wish)))
    rollout = report["rollout"]
    assert (rollout["stage"], report["outcome"]) == ("paused", "inconclusive")
    assert (
        "1 device without input; it is decided there when some comes; pi-1: no input since 20"
        in rollout["reason"]
    )
    (problem,) = report["problems"]["pi-1"]
    assert str(tmp_path / "camera") in problem
    assert f"  pi-1: open\n    {problem}" in fleet.told("rollout", "status", rollout["id"])

    (device,) = fleet.edge("devices")["devices"]
    app = device["apps"]["look"]
    assert (app["state"], app["serving"]) == ("probation", "colour@1.0.0")
    assert app["reason"].startswith("inconclusive: it answered 0 times")
    assert app["problems"] == [problem]
    assert problem in fleet.told("devices")
    assert fleet.edge("status")["troubled"] == 1
    assert ", 1 with something in the way (edge fleet devices)" in fleet.told("status")
    assert fleet.page().count("no input since") >= 2  # of the device, and of the rollout

    pictures(tmp_path / "camera")
    fleet.edge("rollout", "resume", rollout["id"])
    report = fleet.edge("rollout", "status", rollout["id"], "--wait")
    assert report["rollout"]["stage"] == "done"
    eventually(lambda: fleet.edge("status")["troubled"] == 0)
    (device,) = eventually(
        lambda: [each for each in fleet.edge("devices")["devices"] if each["refused"]]
    )
    assert (device["apps"]["look"]["state"], device["unrecorded"]) == ("committed", 0)
    (model,) = fleet.edge("models")["models"]
    assert (model["errors"], model["refused"].keys()) == (0, {"dark"})
    assert "colour@1.0.0, serve: its limits refused" in fleet.told("models")
    assert " answered, " in fleet.told("devices")
    assert " refused" in fleet.page()
    assert "limits are off" not in fleet.page()


@pytest.mark.parametrize(
    "agent", [{"EDGELOOP_AGENT_APPS__LOOK__GUARD": "false"}], indirect=True, ids=["off"]
)
def test_limits_that_a_device_s_operator_has_switched_off_are_seen_in_the_fleet(
    fleet: FleetProcess, agent: None, tmp_path: Path
) -> None:
    pictures(tmp_path / "camera")
    limits = InputLimits(min_luma=50, min_contrast=0)  # blue is too dark
    fleet.edge("publish", str(classifier(tmp_path / "colour-1.0.0.edge", "1.0.0", guard=limits)))
    words = ["rollout", "start", "colour@1.0.0", "--app", "look", "--to", "pi-1", "--wait"]
    report = fleet.edge(*words, "--limit", "soak_s=0.1", "--limit", "min_inferences=4")
    assert report["rollout"]["stage"] == "done"
    eventually(lambda: fleet.edge("devices")["devices"][0]["inferences"])
    (device,) = fleet.edge("devices")["devices"]
    assert device["refused"] == 0
    assert device["apps"]["look"]["limits"] == "limits are off on the device"
    assert "limits are off on the device" in fleet.told("devices")
    assert "limits are off on the device" in fleet.page()
    assert fleet.edge("status")["troubled"] == 0
