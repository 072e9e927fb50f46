"""A device's whole world in a folder: pictures, artifacts that look at them, a small fleet, agents.

The fleet here is a stand-in of a few lines for ``fleet``'s conversation: the trust repository, the
broker and the wire are the real ones. So what an agent does can be tried against a fleet that cuts,
forges, replays and forgets.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import onnx
from brokers import DEADLINE_S, QUICK, Server, eventually
from msgspec import structs
from onnx import TensorProto, helper, numpy_helper
from patience import ended, turns

from edge_sdk.artifact import Artifact, Golden, golden, measure, pack
from edge_sdk.broker import Broker, Incoming, connect
from edge_sdk.broker.base import Credentials
from edge_sdk.spec import (
    AGENT_VERSION,
    Classification,
    ImageInput,
    InputLimits,
    Manifest,
    Provenance,
    Signature,
    TensorSpec,
    Variant,
    codec,
    encode,
)
from edge_sdk.spec.contents import BASELINE
from edge_sdk.spec.deployment import (
    TERMINAL,
    AppState,
    ArtifactRef,
    Assignment,
    Desired,
    Signed,
    State,
)
from edge_sdk.spec.enrolment import BrokerLogin, Enrolment
from edge_sdk.spec.envelope import open_, read, seal
from edge_sdk.spec.sketch import Baseline
from edge_sdk.spec.wire import (
    UP_OF_ALL,
    Acknowledged,
    ChunkRequest,
    DesiredMessage,
    Hello,
    Message,
    ReportedMessage,
    TelemetryMessage,
    down,
)
from fleet.trust import TrustRepository

DEVICE, PASSWORD = "cam-1", "1-secret"
APP = "look"
EDGE = (sys.executable, "-m", "edge_sdk")
SIDE = 8
MODEL = "variants/onnx-fp32/model.onnx"
_SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", dtype="float32", shape=(1, SIDE, SIDE, 3)),),
    outputs=(TensorSpec(name="y", dtype="float32", shape=(1, 3)),),
)


def pictures(folder: Path) -> Path:
    """A folder of three small pictures: one red, one green, one blue."""
    folder.mkdir(parents=True, exist_ok=True)
    for channel, name in enumerate(("blue", "green", "red")):
        picture = np.zeros((16, 16, 3), np.uint8)
        picture[..., channel] = 200
        assert cv2.imwrite(str(folder / f"{name}.png"), picture)
    return folder


def _model(ballast: int) -> bytes:
    """Mean over the picture, one score a channel; ``ballast`` bytes that nothing reads."""
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("Gemm", ["mean", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["y"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "look",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, SIDE, SIDE, 3))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 3))],
        [
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
            numpy_helper.from_array(np.eye(3, dtype=np.float32) * 5, "weights"),
        ],
        doc_string="." * ballast,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def classifier(
    path: Path,
    version: str,
    *,
    golden_is_right: bool = True,
    model: bytes | None = None,
    ballast: int = 300_000,
    min_agent: str = "0.1.0",
    size: tuple[int, int] = (SIDE, SIDE),
    others: bool = False,
    guard: InputLimits | None = None,
) -> Path:
    """An artifact that says which colour a picture has; by default with a model of three chunks.

    With ``others`` it has more builds: one that would be preferred and that no engine here runs,
    and one that runs here and is not preferred.
    """
    x = np.linspace(0, 1, 2 * SIDE * SIDE * 3, dtype=np.float32).reshape(2, 1, SIDE, SIDE, 3)
    scores = np.exp(x.mean(axis=(2, 3)) * 5)
    y = (scores / scores.sum(axis=-1, keepdims=True)).astype(np.float32)
    vectors = Golden(
        inputs={"x": x},
        outputs={"y": y if golden_is_right else y[..., ::-1] + 1},
        tolerance={"onnx-fp32": {"y": 1e-4}},
    )
    contents = {MODEL: model or _model(ballast), golden.FILE: golden.pack(vectors)}
    variant = Variant(
        id="onnx-fp32",
        format="onnx",
        recipe="fp32",
        path=MODEL,
        size=len(contents[MODEL]),
        backends=("onnxruntime",),
        signature=_SIGNATURE,
    )
    variants = (variant,)
    if others:
        variants += (
            _other(variant, contents, "coreml-int8", format="coreml", backends=("coreml",)),
            _other(variant, contents, "onnx-int8-weights"),
        )
        contents[BASELINE] = encode(Baseline(samples=2))
    manifest = Manifest(
        name="colour",
        version=version,
        signature=_SIGNATURE,
        variants=variants,
        provenance=Provenance(source="x", source_format="x", source_sha256="0" * 64, tools={}),
        files=measure(contents),
        min_agent=min_agent,
        labels=("red", "green", "blue"),
        preprocess=ImageInput(input="x", size=size),
        postprocess=Classification(output="y"),
        guard=guard,
    )
    pack(path, manifest, contents)
    return path


def _other(variant: Variant, contents: dict[str, bytes], name: str, **changes: Any) -> Variant:
    """A further build, whose file is added to the contents; nobody is to look into it."""
    path = f"variants/{name}/model.bin"
    contents[path] = b"never to be fetched " * 20_000
    changes |= {"id": name, "recipe": name.partition("-")[2], "path": path}
    return structs.replace(variant, size=len(contents[path]), **changes)


class SmallFleet:
    """Answers hello, gives chunks, acknowledges; remembers all it heard.

    Attributes:
        heard: every message of the device, in order, durable ones once.
        asked: path and offset of every request for bytes that was answered.
        answers: whether it answers at all; False plays dead.
        acknowledges: whether it acknowledges.
        gives: whether a request for those bytes of that file is answered.
        tamper: changes a chunk on its way.
    """

    def __init__(self, folder: Path, server: Server) -> None:
        self.trust = TrustRepository(folder / "fleet-trust")
        self.server = server
        self.broker: Broker = connect(
            server.url, name="fleet", credentials=Credentials("fleet", "f-secret"), pace=QUICK
        )
        self.broker.subscribe(UP_OF_ALL, self._on_message)
        self.heard: list[Message] = []
        self.hellos: list[Hello] = []
        self.asked: list[tuple[str, int]] = []
        self.sequences: list[tuple[str, int]] = []
        self.answers = self.acknowledges = True
        self.gives: Callable[[str, int], bool] = lambda path, offset: True
        self.tamper: Callable[[Message], Message] = lambda chunk: chunk
        self.received: set[tuple[str, int]] = set()
        self.order: list[tuple[str, int]] = []
        self.desired: Signed | None = None
        self._counter = 0
        self._ids = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder = folder

    def publish(self, version: str, **changes: Any) -> ArtifactRef:
        """Make and publish an artifact, as a fleet of the version that it needs would."""
        return self.publish_file(
            classifier(self._folder / f"colour-{version}.edge", version, **changes), **changes
        )

    def publish_file(self, path: Path, **changes: Any) -> ArtifactRef:
        """Publish an artifact that is there."""
        newest = max(AGENT_VERSION, changes.get("min_agent", AGENT_VERSION))
        with patch.object(codec, "AGENT_VERSION", newest), Artifact(path) as artifact:
            return self.trust.publish(artifact)

    def enrolment(self, path: Path, **changes: Any) -> Path:
        values = {
            "device": DEVICE,
            "fleet": "small",
            "broker": self.server.url,
            "credentials": BrokerLogin(username=DEVICE, password=PASSWORD),
            "root": self.trust.root_bytes,
            "director": self.trust.director_public,
        }
        path.touch(mode=0o600)
        path.write_bytes(encode(Enrolment(**{**values, **changes})))
        return path

    def want(self, serve: ArtifactRef | None, shadow: ArtifactRef | None = None) -> int:
        """Sign a new Desired and say it; answers its counter."""
        self._counter += 1
        assignment = Assignment(serve=serve, shadow=shadow)
        desired = Desired(device=DEVICE, counter=self._counter, issued_ms=1, apps={APP: assignment})
        self.desired = self.trust.sign_desired(desired)
        if self.broker.connected:
            self.say(DesiredMessage(desired=self.desired))
        return self._counter

    def say(self, message: Message, answers: str = "") -> None:
        payload = seal(message, id=f"f{next(self._ids)}", sent_ms=1, answers=answers)
        self.say_bytes(payload)

    def say_bytes(self, payload: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self.broker.publish(down(DEVICE), payload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def reports(self) -> list[ReportedMessage]:
        return [m for m in self.heard if isinstance(m, ReportedMessage)]

    @property
    def windows(self) -> list[Any]:
        return [w for m in self.heard if isinstance(m, TelemetryMessage) for w in m.windows]

    def app(self) -> AppState | None:
        """What the device last said of its application."""
        return self.reports[-1].reported.apps.get(APP) if self.reports else None

    async def settled(self, counter: int) -> AppState:
        """Wait until the device rests, having heard that Desired."""
        rests = {*TERMINAL, State.SHADOWING}

        def done() -> bool:
            if not self.reports or self.reports[-1].reported.counter < counter:
                return False
            app = self.app()
            return app is not None and app.target is None and app.state in rests

        await eventually(done, f"never at rest: {self.reports[-1:]}")
        found = self.app()
        assert found is not None
        return found

    def _on_message(self, incoming: Incoming) -> None:
        if not self.answers:
            return
        envelope = open_(incoming.payload)
        message = read(envelope)
        assert message is not None
        if envelope.sequence:
            key = (envelope.outbox, envelope.sequence)
            self.sequences.append(key)
            if self.acknowledges:
                sequences = (envelope.sequence,)
                self.say(Acknowledged(outbox=envelope.outbox, sequences=sequences))
                if key not in self.received:
                    self.received.add(key)
                    self.order.append(key)
                    self.heard.append(message)
        elif isinstance(message, ChunkRequest):
            if not self.gives(message.path, message.offset):
                return
            self.asked.append((message.path, message.offset))
            chunk = self.trust.read(message.path, message.offset, message.length)
            self.say(self.tamper(chunk), envelope.id)
        elif isinstance(message, Hello):
            self.hellos.append(message)
            if self.desired is not None:
                self.say(DesiredMessage(desired=self.desired))


@dataclass
class AgentProcess:
    """``edge agent run`` in a process of its own.

    Attributes:
        folder: its world: pictures, enrolment, configuration, state, log.
        settings: of the configuration, beside or instead of the usual ones.
        max_file_bytes: no file of it grows beyond that; 0 for no limit.
        clock: how far its wall clock is off, as faketime says it (``-3650d``); empty for not.
    """

    folder: Path
    settings: dict[str, object] = field(default_factory=dict)
    app_settings: dict[str, object] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    max_file_bytes: int = 0
    clock: str = ""

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def write_config(self) -> None:
        settings = {
            "enrolment": "cam-1.enrolment.json",
            "window_s": 0.5,
            "probation_s": 0.2,
            "probation_inferences": 3,
            "request_timeout_s": 1.0,
            "worker_silence_s": 20,
            "min_free_bytes": 0,
            **self.settings,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        lines += [f"[apps.{APP}]", 'source = "folder"', 'path = "pictures"', "interval_ms = 20"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in self.app_settings.items()]
        self.config.write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        self.write_config()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.limits(), *EDGE, "agent", "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONFAULTHANDLER": "1"},
            )

    def limits(self) -> list[str]:
        """What comes before the command: another disk, another clock."""
        limits = ["prlimit", f"--fsize={self.max_file_bytes}"] if self.max_file_bytes else []
        if self.clock:  # the wall clock alone: a board's monotonic one counts from its start
            # Not by the faketime command, which would stand between us and the agent's process.
            (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
            limits += ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", f"FAKETIME={self.clock}"]
            limits += [f"LD_PRELOAD={library}"]
        return limits

    def kill(self) -> None:
        """As the kernel or a power failure would; its workers end by themselves."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for pid in self.members():  # one that a test has stopped could not notice
            os.kill(pid, signal.SIGCONT)
        self._await_workers()

    def stop(self) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = ended(self.process, DEADLINE_S, lambda: self.log)
        self._await_workers()
        return code

    def workers(self) -> list[int]:
        """Process ids of what the agent has started."""
        assert self.process is not None
        return [pid for pid in self.members() if pid != self.process.pid]

    def worker(self) -> dict[str, Any]:
        """How the agent says that its worker is; nothing while the agent does not answer."""
        if not self.state.exists():
            return {}
        folder = os.open(self.state, os.O_RDONLY)
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(DEADLINE_S)
                line.connect(f"/proc/self/fd/{folder}/agent.sock")
                line.sendall(b'{"command": "status"}\n')
                reply = json.loads(line.makefile("rb").readline())
        except (OSError, ValueError):
            return {}
        finally:
            os.close(folder)
        found: dict[str, Any] = reply["status"]["apps"][APP]["worker"]
        return found

    def serves(self, digest: str) -> bool:
        """Whether its worker answers with this artifact."""
        return self.worker().get("serving") == digest

    async def reaches(self, state: str, attempt: int) -> None:
        """Wait until the journal says so."""

        def reached() -> bool:
            found = self.journal()
            return (found.get("state"), found.get("attempt")) == (state, attempt)

        await eventually(reached, f"never {state}: {self.journal()}")

    def edge(self, *words: str) -> tuple[int, dict[str, Any]]:
        """``edge agent …`` in JSON: the exit code, and what it said."""
        done = subprocess.run(
            [*EDGE, "agent", *words, "--config", str(self.config), "--json"],
            capture_output=True,
            check=False,
        )
        return done.returncode, json.loads(done.stdout or done.stderr.splitlines()[-1])

    def status(self) -> dict[str, Any]:
        code, found = self.edge("status")
        assert code == 0, found
        return found

    def journal(self) -> dict[str, Any]:
        path = self.state / "apps" / f"{APP}.json"
        found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
        return found

    def _await_workers(self) -> None:
        """Every process of the agent's session has ended."""
        assert self.process is not None
        assert any(not self.members() for _ in turns(DEADLINE_S)), f"left: {self.members()}"

    def members(self) -> list[int]:
        """Processes of the agent's session."""
        assert self.process is not None
        found = []
        for each in Path("/proc").iterdir():
            if each.name.isdigit():
                try:
                    fields = (each / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[3]) == self.process.pid and fields[0] != "Z":
                    found.append(int(each.name))
        return found


def device(folder: Path, fleet: SmallFleet, **settings: object) -> AgentProcess:
    """A device with pictures and an enrolment; its agent is not started yet."""
    home = folder / DEVICE
    pictures(home / "pictures")
    fleet.enrolment(home / "cam-1.enrolment.json")
    return AgentProcess(home, dict(settings))
