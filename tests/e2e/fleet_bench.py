"""Scripted devices at work beside a real fleet process."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fleet_process import FleetProcess
from scripted_device import ScriptedDevice, eventually

from edge_sdk.spec.enrolment import Enrolment

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "artifact"))
import artifact_samples as samples

APP = "scaler"


def publish(fleet: FleetProcess, version: str) -> str:
    weight = float(version.split(".")[1]) + 2
    path = fleet.folder / f"scale-{version}.edge"
    inside = samples.contents(**{samples.MODEL: samples.onnx_scale(weight)})
    samples.write(path, inside, version=version)
    digest: str = fleet.edge("publish", str(path))["digest"]
    return digest


@asynccontextmanager
async def devices(*enrolments: Enrolment) -> AsyncIterator[list[ScriptedDevice]]:
    async with AsyncExitStack() as stack:
        every = [ScriptedDevice(enrolment, APP) for enrolment in enrolments]
        for device in every:
            await stack.enter_async_context(device.running())
        await eventually(lambda: all(d.desired for d in every), "an answer to hello")
        yield every


class Bench:
    """Devices at work until the test is over: they serve, and compare if told to."""

    def __init__(self, every: list[ScriptedDevice]) -> None:
        self.every = every
        self.disagreeing: set[str] = set()
        self.failing: dict[str, set[str]] = {}
        """By digest, the devices on which half of what is served of it fails."""
        self.shadowed: dict[str, set[str]] = {}
        self.served: dict[str, set[str]] = {}
        self.inferences: dict[str, int] = {}

    async def run(self) -> None:
        while True:
            for device in self.every:
                state = device.reported.apps[APP]
                if state.shadow is not None:
                    self.shadowed.setdefault(state.shadow.digest, set()).add(device.device)
                    device.compare(APP, 40, 30 if state.shadow.digest in self.disagreeing else 2)
                    self._count(device, 80)
                elif state.serving is not None:
                    self.served.setdefault(state.serving.digest, set()).add(device.device)
                    fails = device.device in self.failing.get(state.serving.digest, ())
                    device.serve(APP, 40, errors=40 if fails else 0)
                    self._count(device, 40)
            await asyncio.sleep(0.1)

    def _count(self, device: ScriptedDevice, inferences: int) -> None:
        self.inferences[device.device] = self.inferences.get(device.device, 0) + inferences
