"""The whole loop on one machine: ``edge demo loop``.

Real processes, real models, a real broker: three classifiers are converted and proven, a fleet and
four agents start, and then things happen to them as they happen to products. A first version goes
out. A detector joins it on one device. A better version passes its canary and reaches everybody. A
version that was trained badly, but converted faithfully, passes every check that looks at the
file, and is caught by what it *answers* beside the version it was to replace. Last, one camera's
pictures turn dark and blurred, and that device alone is told to drift.

Each chapter either happens or raises; nothing is simulated, and no number is written here that was
not read from the running fleet.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_sdk.demos.assets import asset, checkout, example
from edge_sdk.demos.pictures import darken_and_blur
from edge_sdk.demos.processes import Server, command, edge, wait_for
from edge_sdk.errors import UnavailableError
from edge_sdk.text import bytes_text, table

DEVICES = ("cam-1", "cam-2", "cam-3", "cam-4")
DETECTING = "cam-2"
DARKENED = "cam-4"
APP, DETECTOR = "fashion", "faces"
VERSIONS = {"good": "1.0.0", "better": "1.1.0", "bad": "1.2.0"}
PICTURES_PER_CLASS = 30
PATIENCE_S = 240.0
SOAK_S = 5

FLEET_CONFIG = """\
data = "{data}"
listen = "127.0.0.1:0"
broker_listen = "127.0.0.1:0"
drift_min_windows = 12   # of two seconds each; a real fleet has longer ones, and waits for forty
"""

Say = Callable[[str], None]


@dataclass
class Loop:
    """The story under way.

    Attributes:
        folder: everything the demo makes.
        say: prints one line for a person.
        servers: the processes that stay, in the order they were started.
        rollouts: the report of each rollout, by what was rolled out.
        page, token: of the fleet: its address, and the file with what opens it.
    """

    folder: Path
    say: Say
    servers: list[Server] = field(default_factory=list)
    rollouts: dict[str, dict[str, Any]] = field(default_factory=dict)
    page: str = ""
    token: str = ""

    def run(self) -> dict[str, Any]:
        """Tell the whole story; answers what ``--json`` prints.

        Raises:
            EdgeError: something did not happen.
        """
        started = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        converted = self.convert()
        self.start_fleet()
        self.start_agents()
        self.roll_out(f"{APP}@1.0.0", APP, to="all")
        self.roll_out(f"{DETECTOR}@1.0.0", DETECTOR, to=DETECTING)
        self.roll_out(f"{APP}@1.1.0", APP, to="all")
        self.catch(f"{APP}@1.2.0")
        drift = self.darken()
        devices = self.closing()
        return {
            "seconds": round(time.monotonic() - started, 1),
            "page": self.page,
            "converted": converted,
            "rollouts": self.rollouts,
            "devices": devices,
            "drift": drift,
        }

    # 1. In the workshop

    def convert(self) -> dict[str, dict[str, float]]:
        """Convert and prove the three classifiers and the detector."""
        self.chapter("Converting three classifiers, each proven on 10,000 pictures")
        examples = checkout() / "examples"
        data = self.folder / "data"
        example("examples.fashion_mnist.dataset", data, "--pictures", PICTURES_PER_CLASS)
        spec = examples / "fashion_mnist"
        found: dict[str, dict[str, float]] = {}
        rows = []
        for name, version in VERSIONS.items():
            self.say(f"  the {name} one becomes {APP}@{version} ...")
            source = example("examples.fashion_mnist.train", name, "--path").strip()
            _, made = edge(
                *("convert", source, "-o", self.artifact(APP, version), "--version", version),
                *("--recipe", "fp32,int8", "--calibrate", data / "calibration.npz"),
                *("--evaluate", data / "evaluation.npz"),
                *("--preprocess", spec / "classifier.toml", "--labels", spec / "labels.txt"),
            )
            accuracy = {v["id"]: v["agreement"]["accuracy"] for v in made["report"]["variants"]}
            found[version] = accuracy
            rows.append((name, version, *(f"{share:.2%}" for share in accuracy.values())))
        self.say(table(("trained", "version", *found["1.0.0"]), rows, "<<>>"))
        self.say("  and a face detector, wrapped as it is ...")
        face = examples / "face_detection"
        edge(
            *(
                "convert",
                asset("face-detection-short-range"),
                "-o",
                self.artifact(DETECTOR, "1.0.0"),
            ),
            *("--preprocess", face / "face.toml", "--labels", face / "labels.txt"),
            *("--evaluate", asset("photos")),
        )
        return found

    def artifact(self, name: str, version: str) -> Path:
        """Where an artifact of the demo is."""
        return self.folder / f"{name}-{version}.edge"

    # 2. In the field

    def start_fleet(self) -> None:
        """Start the fleet with its own broker, and publish everything."""
        self.chapter("Starting a fleet with its broker, and four agents")
        config = self.folder / "fleet.toml"
        config.write_text(FLEET_CONFIG.format(data=self.folder / "fleet"), encoding="utf-8")
        words = command("fleet", "serve", "--config", config, "--json")
        fleet = Server("the fleet", words, self.folder / "fleet.log")
        self.servers.append(fleet)
        ready = json.loads(fleet.first_line())
        self.page, self.token = ready["api"], ready["token_file"]
        self.say(f"fleet    pid {fleet.pid}, page {self.page}, broker {ready['broker']}")
        for artifact in sorted(self.folder.glob("*.edge")):
            self.fleet("publish", artifact)

    def start_agents(self) -> None:
        """Enrol four devices, give each its own pictures, and start their agents."""
        pictures = self.folder / "data" / "pictures"
        for position, device in enumerate(DEVICES):
            folder = self.folder / device
            deal(pictures, folder / "pictures", position, len(DEVICES))
            enrolment = folder / f"{device}.enrolment.json"
            self.fleet("enroll", device, "-o", enrolment)
            config = folder / "agent.toml"
            config.write_text(agent_config(device, folder), encoding="utf-8")
            agent = Server(
                device, command("agent", "run", "--config", config), folder / "agent.log"
            )
            self.servers.append(agent)
            self.say(f"{device}    pid {agent.pid}")
        wait_for("The agents' greeting", self.all_online, PATIENCE_S, self.servers)

    def all_online(self) -> bool | None:
        """Whether every device was heard; None if not yet."""
        return all(d["online"] for d in self.devices().values()) or None

    # 3. Versions come and go

    def roll_out(self, artifact: str, app: str, *, to: str) -> None:
        """A version that is good enough reaches everybody it was meant for."""
        self.chapter(f"Rolling out {artifact} to {to}")
        report = self.follow(artifact, app, to)
        if report["rollout"]["stage"] != "done":
            raise UnavailableError(f"{artifact} ended as {report['rollout']['stage']}, not done.")
        devices = self.devices()
        wrong = [d for d in report["devices"] if devices[d]["apps"][app]["serving"] != artifact]
        if wrong:
            raise UnavailableError(f"{artifact} is done, but {', '.join(wrong)} runs another.")

    def catch(self, artifact: str) -> None:
        """A bad version is caught on the canary, and nobody else ever sees it."""
        self.chapter(f"Rolling out {artifact}: badly trained, faithfully converted")
        before = {d: s["apps"][APP]["serving"] for d, s in self.devices().items()}
        report = self.follow(artifact, APP, "all", allowed=(1,))
        if report["rollout"]["stage"] != "rolled_back":
            raise UnavailableError(f"{artifact} was not caught: {report['rollout']['stage']}.")
        after = {d: s["apps"][APP]["serving"] for d, s in self.devices().items()}
        if after != before:
            raise UnavailableError(f"After the rollback devices run {after}, not {before}.")
        touched = {
            device
            for model in self.fleet("models")["models"]
            if model["artifact"] == artifact
            for device in model["devices"]
        }
        if not touched <= set(report["canaries"]):
            raise UnavailableError(f"{artifact} ran on {touched}, not only on the canary.")
        self.say(f"it ran on {', '.join(sorted(touched)) or 'no device'} alone")

    def follow(
        self, artifact: str, app: str, to: str, allowed: tuple[int, ...] = (0,)
    ) -> dict[str, Any]:
        """Start a rollout and wait for its end; answers its report."""
        code, report = self.fleet_code(
            *("rollout", "start", artifact, "--app", app, "--to", to, "--wait"),
            *("--limit", f"soak_s={SOAK_S}"),
            allowed=(0, 1, *allowed),
            say=self.say,
        )
        canaries = ", ".join(report["canaries"])
        self.say(f"  {report['rollout']['stage']}; the canary was {canaries}")
        for line in report["evidence"]:
            self.say(f"  {evidence_text(line)}")
        if code not in allowed:
            raise UnavailableError(f"The rollout of {artifact} ended with exit code {code}.")
        self.rollouts[artifact] = report
        return dict(report)

    # 4. The world changes

    def darken(self) -> dict[str, str]:
        """One device's pictures turn dark and blurred; its fleet notices, of that device alone."""
        self.chapter(f"Nothing drifts; then the pictures of {DARKENED} turn dark and blurred")
        wait_for(
            "A settled drift verdict for every device",
            lambda: self.verdicts() if self.settled("steady") else None,
            PATIENCE_S,
            self.servers,
        )
        darken_and_blur(self.folder / DARKENED / "pictures")

        def noticed() -> dict[str, str] | None:
            found = self.verdicts()
            return found if found.get(DARKENED) == "drifting" else None

        found = wait_for("Drift", noticed, PATIENCE_S, self.servers)
        others = [device for device, state in found.items() if state == "drifting"]
        if others != [DARKENED]:
            raise UnavailableError(f"Drift was found on {', '.join(others)}.")
        self.say(", ".join(f"{device} {state}" for device, state in sorted(found.items())))
        return found

    def settled(self, state: str) -> bool:
        """Whether every device's verdict on the classifier is this one."""
        found = self.verdicts()
        return set(found) == set(DEVICES) and set(found.values()) == {state}

    def verdicts(self) -> dict[str, str]:
        """The newest drift verdict on the classifier, by device."""
        serving = f"{APP}@{VERSIONS['better']}"
        found: list[dict[str, Any]] = self.fleet("drift", serving, allowed=(0, 1))["models"]
        return {v["device"]: v["verdict"]["verdict"] for v in found if v["app"] == APP}

    # 5. What it comes to

    def closing(self) -> dict[str, dict[str, Any]]:
        """The closing table."""
        self.chapter("What it comes to")
        devices = self.devices()
        verdicts = self.verdicts()
        latency = {
            (device, m["app"], m["artifact"]): m["p99_us"]
            for device in devices
            for m in self.fleet("models", "--device", device)["models"]
            if m["role"] == "serve"
        }
        rows = []
        for device, state in sorted(devices.items()):
            for app, said in sorted(state["apps"].items()):
                slots = self.folder / device / "state" / "slots"
                size = sum(f.stat().st_size for f in slots.rglob("*") if f.is_file())
                p99 = latency.get((device, app, said["serving"]))
                rows.append(
                    (
                        device,
                        said["serving"],
                        said["state"],
                        bytes_text(size),
                        "" if p99 is None else f"{p99 / 1000:.2f} ms",
                        verdicts.get(device, "") if app == APP else "",
                    )
                )
        header = ("device", "serves", "state", "on disk", "p99", "input")
        self.say(table(header, rows, "<<<>><"))
        return devices

    # How it is asked

    def devices(self) -> dict[str, dict[str, Any]]:
        """Every device as the fleet knows it, by name."""
        return {device["device"]: device for device in self.fleet("devices")["devices"]}

    def fleet(self, *words: object, allowed: tuple[int, ...] = (0,)) -> Any:
        """One ``edge fleet`` command's JSON."""
        return self.fleet_code(*words, allowed=allowed)[1]

    def fleet_code(
        self, *words: object, allowed: tuple[int, ...] = (0,), say: Say | None = None
    ) -> tuple[int, Any]:
        """One ``edge fleet`` command's exit code and JSON."""
        return edge("fleet", *words, "--data", self.folder / "fleet", allowed=allowed, say=say)

    def chapter(self, title: str) -> None:
        """A heading."""
        self.say(f"\n{title}")


def deal(pictures: Path, folder: Path, position: int, hands: int) -> None:
    """Give one device its share of the pictures: every ``hands``-th, from ``position``."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in sorted(pictures.rglob("*.png"))[position::hands]:
        shutil.copy(picture, folder / f"{picture.parent.name}-{picture.name}")


def agent_config(device: str, folder: Path) -> str:
    """The agent's configuration as a person would write it."""
    apps = [(APP, "folder", folder / "pictures", 20)]
    if device == DETECTING:
        apps.append((DETECTOR, "video", Path(asset("carphone")), 40))
    lines = [
        f'device = "{device}"',
        f'enrolment = "{folder / f"{device}.enrolment.json"}"',
        f'state = "{folder / "state"}"',
        "window_s = 2",
        "probation_s = 2",
    ]
    for app, source, path, interval in apps:
        lines += [
            f"[apps.{app}]",
            f'source = "{source}"',
            f'path = "{os.fspath(path)}"',
            f"interval_ms = {interval}",
        ]
    return "\n".join(lines) + "\n"


def evidence_text(line: dict[str, Any]) -> str:
    """One line of a verdict for a person."""
    share = line["measure"] in ("failed devices", "errors", "disagreement")

    def amount(number: float) -> str:
        return f"{number:.1%}" if share else f"{number:.3g}"

    number = "nothing yet" if line["value"] is None else amount(line["value"])
    where = f" on {line['device']}" if line.get("device") else ""
    return (
        f"{line['outcome']:<12}  {line['measure']}: {number} of {amount(line['limit'])} allowed, "
        f"{line['samples']} seen{where}"
    )
