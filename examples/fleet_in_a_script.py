"""A fleet in a script: a broker, an agent, a model published, rolled out, and running there.

    .venv/bin/python -m examples.fleet_in_a_script light-1.0.0.edge pictures/ build/fleet

The fleet and the agent are processes of their own, on free ports of this machine.
"""

from pathlib import Path

from edge_sdk.artifact import Artifact
from edge_sdk.demos.processes import Server, command, ended_with_us, wait_for
from edge_sdk.files import whole_file
from edge_sdk.pipeline import open_sources
from edge_sdk.spec import encode
from edge_sdk.spec.enrolment import Enrolment
from examples.shell import from_shell
from fleet.client import find_fleet
from fleet.core.rollout import FINAL, Pace
from fleet.words import ArtifactReport, DeviceReport, EnrollRequest, RolloutReport, RolloutRequest


def main(artifact: str, inputs: str, folder: str) -> None:
    """Run it."""
    open_sources([inputs])  # without pictures the agent would wait for some
    Artifact(Path(artifact)).close()
    here = Path(folder)
    here.mkdir(parents=True)
    ports = ("--listen", "127.0.0.1:0", "--broker-listen", "127.0.0.1:0")
    serve = command("fleet", "serve", "--data", here / "fleet", *ports, "--json")
    processes = [Server("the fleet", serve, here / "fleet.log")]
    with ended_with_us(processes):
        processes[0].first_line()  # it is ready
        fleet = find_fleet(str(here / "fleet"), api=None, token_file=None)
        model = fleet.upload("/artifacts", Path(artifact), ArtifactReport).artifact

        with whole_file(here / "pi-1.json", 0o600) as file:  # the device's secret
            file.write(encode(fleet.post("/enroll", EnrollRequest(device="pi-1"), Enrolment)))
        files = ("--enrolment", here / "pi-1.json", "--state", here / "pi-1")
        agent = command("agent", "run", *files, "--app", f"door={inputs}")
        processes.append(Server("the agent", agent, here / "agent.log"))

        request = RolloutRequest(artifact=model, app="door", to="pi-1", pace=Pace(soak_s=1))
        begun = fleet.post("/rollouts", request, RolloutReport).rollout

        def over() -> RolloutReport | None:
            report = fleet.get(f"/rollouts/{begun.id}", RolloutReport)
            return report if report.rollout.stage in FINAL else None

        print(f"{model}: {wait_for('The rollout', over, 120, processes).rollout.stage.value}")
        for device in fleet.get("/devices", list[DeviceReport]):
            state = device.apps["door"]
            print(f"{device.device} serves {state.serving}, {device.inferences} answers so far")


if __name__ == "__main__":
    from_shell(main)
