"""A fleet's trust repository, a device, and the wire between them, all real but in one process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from device_agent.trust import DeviceTrust
from edge_sdk.artifact import Artifact, measure, pack
from edge_sdk.errors import FleetError
from edge_sdk.spec import Manifest, Provenance, Signature, TensorSpec, Variant
from edge_sdk.spec.deployment import ArtifactRef, Assignment, Desired
from edge_sdk.spec.enrolment import Enrolment
from edge_sdk.spec.wire import Chunk
from fleet.trust import TrustRepository

DEVICE = "pi-1"
MODEL = "variants/tflite-fp32/model.tflite"
START = datetime(2026, 11, 23, 12, tzinfo=UTC)
_TENSOR = TensorSpec(name="x", dtype="float32", shape=(1, 3))
_SIGNATURE = Signature(inputs=(_TENSOR,), outputs=(_TENSOR,))


def random_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def write_artifact(
    path: Path, version: str = "1.0.0", model: bytes = random_bytes(700_000), name: str = "scale"
) -> Path:
    """An artifact whose model is six chunks long, with a small file and an empty one."""
    contents = {MODEL: model, "notes.txt": b"a few words", "empty.txt": b""}
    variant = Variant(
        id="tflite-fp32",
        format="tflite",
        recipe="fp32",
        path=MODEL,
        size=len(model),
        backends=("litert",),
        signature=_SIGNATURE,
    )
    manifest = Manifest(
        name=name,
        version=version,
        signature=_SIGNATURE,
        variants=(variant,),
        provenance=Provenance(source="x", source_format="x", source_sha256="0" * 64, tools={}),
        files=measure(contents),
    )
    pack(path, manifest, contents)
    return path


@dataclass
class Clock:
    """Time that stands still until it is moved."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


class Wire:
    """What a device asks through; an attacker on it changes answers, a fault cuts it.

    Attributes:
        asked: path and offset of every question.
        answered: the same of every answer that got through.
        tamper: changes an answer on its way.
        cut_after: how many answers get through before the wire is cut.
    """

    def __init__(self, repository: TrustRepository) -> None:
        self.repository = repository
        self.asked: list[tuple[str, int]] = []
        self.answered: list[tuple[str, int]] = []
        self.tamper: Callable[[Chunk], Chunk] = lambda chunk: chunk
        self.cut_after: int | None = None

    async def __call__(self, path: str, offset: int, length: int) -> Chunk:
        self.asked.append((path, offset))
        await asyncio.sleep(0)
        if self.cut_after is not None:
            if self.cut_after == 0:
                raise FleetError("The wire is cut.")
            self.cut_after -= 1
        chunk = self.repository.read(path, offset, length)
        self.answered.append((path, offset))
        return self.tamper(chunk)

    def offsets(self, ending: str) -> list[int]:
        """Where in a file the answers that got through began."""
        return [offset for path, offset in self.answered if path.endswith(ending)]


@dataclass
class World:
    """One fleet with a clock, and devices made on demand."""

    folder: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.repository = self.opened()
        self.wire = Wire(self.repository)

    def opened(self, name: str = "trust") -> TrustRepository:
        return TrustRepository(self.folder / name, clock=self.clock)

    def publish(self, version: str = "1.0.0", **changes: bytes) -> ArtifactRef:
        path = write_artifact(self.folder / f"scale-{version}.edge", version, **changes)
        with Artifact(path) as artifact:
            return self.repository.publish(artifact)

    def enrolment(self, repository: TrustRepository | None = None) -> Enrolment:
        fleet = repository or self.repository
        return Enrolment(
            device=DEVICE,
            broker="mqtt://127.0.0.1:1883",
            root=fleet.root_bytes,
            director=fleet.director_public,
        )

    def device(self, enrolment: Enrolment | None = None, name: str = DEVICE) -> DeviceTrust:
        """A device; made again by the same name, it is the same one after a restart."""
        return DeviceTrust(
            self.folder / name, enrolment or self.enrolment(), self.wire, self.clock.seconds
        )

    def fetch(
        self, ref: ArtifactRef, device: DeviceTrust | None = None, member: str = "manifest.json"
    ) -> bytes:
        """One file of an artifact, as a device gets it, into a slot of its own."""
        into = self.slot(ref, member)
        asyncio.run((device or self.device()).fetch_file(ref.digest, member, None, into))
        return into.read_bytes()

    def slot(self, ref: ArtifactRef, member: str) -> Path:
        return self.folder / "slots" / ref.digest / member


def desired(counter: int, device: str = DEVICE) -> Desired:
    ref = ArtifactRef(digest="ab" * 32, name="scale", version="1.0.0")
    return Desired(
        device=device, counter=counter, issued_ms=1, apps={"main": Assignment(serve=ref)}
    )
