"""``edge verify --trust``: an artifact against a copy of a fleet's public folder, no network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from trust_samples import Clock, World, write_artifact

from edge_sdk.artifact import Artifact
from edge_sdk.errors import ArtifactError, UsageError
from edge_sdk.files import sha256
from edge_sdk.trust.offline import prove

NOW = Clock().now


@pytest.fixture
def copy(world: World) -> Path:
    """What an auditor took home, with one artifact published."""
    world.publish()
    return Path(shutil.copytree(world.repository.public, world.folder / "copy"))


def proved(
    world: World, copy: Path, version: str = "1.0.0", now: datetime = NOW
) -> dict[str, object]:
    with Artifact(world.folder / f"scale-{version}.edge") as artifact:
        proof = prove(artifact, copy, now)
    return {name: getattr(proof, name) for name in proof.__struct_fields__}


def test_a_published_artifact_is_trusted(world: World, copy: Path) -> None:
    proof = proved(world, copy)
    assert proof["root_sha256"] == sha256(world.repository.root_bytes)
    assert (proof["root_version"], proof["targets_version"]) == (1, 2)
    assert proof["expires"] == (NOW + timedelta(days=1)).isoformat()
    assert len(proof["signed_by"]) == 1  # type: ignore[arg-type]


def test_the_copy_is_left_as_it_was(world: World, copy: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    proved(world, copy)
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_a_root_pinned_long_ago_leads_to_the_newest(world: World, copy: Path) -> None:
    pinned = (copy / "root.json").read_bytes()
    for role in ("root", "timestamp", "root"):
        world.repository.rotate(role)
    shutil.rmtree(copy)
    shutil.copytree(world.repository.public, copy)
    (copy / "root.json").write_bytes(pinned)
    assert proved(world, copy)["root_version"] == 4


def test_not_published(world: World, copy: Path) -> None:
    write_artifact(world.folder / "scale-9.0.0.edge", "9.0.0")
    with pytest.raises(ArtifactError, match="has not published") as caught:
        proved(world, copy, "9.0.0")
    assert "edge fleet publish" in caught.value.hint


def test_published_and_withdrawn(world: World, copy: Path) -> None:
    world.repository.withdraw(next(iter(world.repository.published)))
    with pytest.raises(ArtifactError, match="has not published"):
        proved(world, world.repository.public)
    assert proved(world, copy), "the older copy does not know yet, until it expires"


def test_an_old_copy(world: World, copy: Path) -> None:
    with pytest.raises(ArtifactError, match=r"expired: .*timestamp\.json is expired") as caught:
        proved(world, copy, now=NOW + timedelta(days=2))
    assert "Copy" in caught.value.hint


def test_another_fleets_root(world: World, copy: Path) -> None:
    shutil.copy(world.opened("other").public / "root.json", copy / "root.json")
    with pytest.raises(ArtifactError, match="not signed by this fleet's keys"):
        proved(world, copy)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def altered(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"length":700000', b'"length":700001'))


@pytest.mark.parametrize(
    ("name", "spoil", "match"),
    [
        ("metadata/timestamp.json", Path.unlink, "not whole"),
        ("metadata/2.snapshot.json", Path.unlink, "not whole"),
        ("metadata/2.targets.json", Path.unlink, "not whole"),
        ("metadata/timestamp.json", emptied, "not what was signed"),
        ("metadata/2.targets.json", emptied, "not what was signed"),
        ("metadata/2.targets.json", altered, "not what was signed"),
        ("root.json", emptied, "not what was signed"),
        ("metadata", shutil.rmtree, "nothing says what was published"),
    ],
)
def test_a_spoilt_copy(
    world: World, copy: Path, name: str, spoil: Callable[[Path], None], match: str
) -> None:
    spoil(copy / name)
    with pytest.raises(ArtifactError, match=match):
        proved(world, copy)


def test_no_root(world: World, copy: Path) -> None:
    (copy / "root.json").unlink()
    with pytest.raises(UsageError, match=r"root\.json cannot be read") as caught:
        proved(world, copy)
    assert "trust/public" in caught.value.hint


def edge(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_sdk", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def now(tmp_path: Path) -> World:
    """A world by the machine's clock, as the command has no other."""
    world = World(tmp_path, Clock(datetime.now(UTC)))
    world.publish()
    return world


def test_the_command_says_trusted_and_by_whom(now: World) -> None:
    path, public = now.folder / "scale-1.0.0.edge", now.repository.public
    done = edge("verify", path, "--trust", public, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["trust"] == "trusted"
    assert told["proof"]["root_sha256"] == sha256((public / "root.json").read_bytes())
    done = edge("verify", path, "--trust", public)
    assert "trust     trusted: published in list 2, signed by " in done.stdout
    assert told["proof"]["expires"] in done.stdout


def test_the_command_without_a_folder_says_unsigned(now: World) -> None:
    done = edge("verify", now.folder / "scale-1.0.0.edge", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["trust"], told["proof"]) == (0, "unsigned", None)


def test_the_command_exits_4_with_the_reason(now: World) -> None:
    other = write_artifact(now.folder / "x.edge", "9.0.0")
    done = edge("verify", other, "--trust", now.repository.public, "--json")
    assert (done.returncode, done.stdout) == (4, "")
    told = json.loads(done.stderr.splitlines()[-1])
    assert "has not published" in told["error"]
    assert told["exit_code"] == 4
