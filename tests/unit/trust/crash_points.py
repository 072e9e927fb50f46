"""Kill a repository before every single write, and see that all go on; see ``test_crashes``.

One process that forks: a child does the work and is killed by SIGKILL before its Nth change to the
disk (seen by Python's own audit events), the parent looks at what is left. Argument: a folder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from trust_samples import START, Clock, write_artifact

from edge_sdk.artifact import Artifact
from edge_sdk.files import sha256
from edge_sdk.trust.chain import Chain
from edge_sdk.trust.offline import FolderFetcher
from fleet.trust import TrustRepository

CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.truncate", "os.chmod", "os.symlink")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
LATER = Clock()
LATER.move(days=200)


def publish(repository: TrustRepository) -> None:
    with Artifact(ARTIFACT) as artifact:
        repository.publish(artifact)


OPERATIONS: dict[str, Callable[[TrustRepository], object]] = {
    "publish": publish,
    "refresh": lambda repository: repository.refresh(LATER.now),
    "rotate root": lambda repository: repository.rotate("root"),
    "rotate targets": lambda repository: repository.rotate("targets"),
    "rotate timestamp": lambda repository: repository.rotate("timestamp"),
}


def killed_at(change: int, work: Callable[[], object], folder: Path) -> bool:
    """Do the work in a child, killed before that change below ``folder``; False if it ends."""
    child = os.fork()
    if child == 0:
        seen = 0

        def watch(event: str, details: tuple[object, ...]) -> None:
            nonlocal seen
            writes = event == "open" and isinstance(details[2], int) and details[2] & WRITES
            if (writes or event in CHANGES) and str(details[0]).startswith(str(folder)):
                if seen == change:
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1

        sys.addaudithook(watch)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"the work failed at change {change}")
    return False


def follow(device: Path, pinned: bytes, public: Path, clock: Clock) -> list[str]:
    """Walk the chain as a device that keeps its metadata in ``device``; answers what is listed."""
    chain = Chain(device, pinned, FolderFetcher(public), clock.now)
    chain.walk()
    return sorted(chain.signed["targets"].targets)  # type: ignore[attr-defined]


def crash_everywhere(name: str, folder: Path) -> int:
    """How many points there were at which to crash; raises at the first that hurts."""
    base, device = folder / "base", folder / "device"
    operation = OPERATIONS[name]
    clock = LATER if name == "refresh" else Clock()
    pinned = TrustRepository(base, clock=Clock()).root_bytes
    follow(device, pinned, base / "public", Clock())
    point = 0
    while True:
        trial, follower = folder / "trial", folder / "follower"
        shutil.copytree(base, trial)
        shutil.copytree(device, follower, symlinks=True)
        repository = TrustRepository(trial, clock=Clock())
        killed = killed_at(point, lambda: operation(repository), trial)  # noqa: B023
        if name != "refresh" or not killed:  # before it, everything is out of date by intent
            before = follow(follower, pinned, trial / "public", clock)
            assert before == follow(folder / "fresh", pinned, trial / "public", clock)
        again = TrustRepository(trial, clock=clock)
        operation(again)
        publish(again)
        listed = follow(follower, pinned, trial / "public", clock)
        assert len(listed) == 4, listed
        for path in listed:
            served = [wire for wire in again._served if wire.startswith(f"targets/{path[:64]}")]
            assert len(served) == 4
        for path in (trial / "blobs").rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                assert sha256(path.read_bytes()) == path.name
        for left in (trial, follower, folder / "fresh"):
            shutil.rmtree(left, ignore_errors=True)
        if not killed:
            return point
        point += 1


def first_start(folder: Path) -> int:
    """The same for making the repository."""
    point = 0
    while killed_at(point, lambda: TrustRepository(folder / "first", clock=Clock()), folder):
        pinned = folder / "first" / "public" / "root.json"
        before = pinned.read_bytes() if pinned.exists() else None
        repository = TrustRepository(folder / "first", clock=Clock())
        assert before in (None, repository.root_bytes), "a pinned root is for ever"
        publish(repository)
        public = repository.public
        assert len(follow(folder / "follower", repository.root_bytes, public, Clock())) == 4
        shutil.rmtree(folder / "first")
        shutil.rmtree(folder / "follower")
        point += 1
    return point


if __name__ == "__main__":
    place = Path(sys.argv[1])
    assert Clock().now == START
    ARTIFACT = write_artifact(place / "scale-1.0.0.edge", model=b"small")
    points = {"first start": first_start(place)}
    for operation_name in OPERATIONS:
        room = place / operation_name.replace(" ", "-")
        room.mkdir()
        points[operation_name] = crash_everywhere(operation_name, room)
    print(json.dumps(points))
