"""What is installed: read from real records, judged by rules that are pip's."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires, version
from pathlib import Path

import pytest

import edge_sdk
from edge_sdk.machine import installation
from edge_sdk.machine.installation import PACKAGES, Requirement, Snapshot

ROOT = Path(edge_sdk.__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        ("numpy>=1.26", Requirement("numpy", ">=1.26", "")),
        (
            "ai_edge.litert>=2.3; extra == 'litert'",
            Requirement("ai-edge-litert", ">=2.3", "litert"),
        ),
        (
            'coverage[toml] (<8,>=7) ; extra == "dev"',
            Requirement("coverage", "<8,>=7", "dev"),
        ),
        ("ruff", Requirement("ruff", "", "")),
    ],
)
def test_a_requirement(line: str, requirement: Requirement) -> None:
    assert installation.read_requirement(line) == requirement


@pytest.mark.parametrize("line", ["", ">=1.0", "a b"])
def test_no_requirement(line: str) -> None:
    with pytest.raises(ValueError, match="not a requirement"):
        installation.read_requirement(line)


def test_every_requirement_of_ours_can_be_read() -> None:
    lines = requires("edgeloop") or []
    assert len(lines) > 20
    for line in lines:
        found = installation.read_requirement(line)
        assert installation.accepts(found.versions, "1.0") in (True, False)


@pytest.mark.parametrize(
    ("versions", "good", "bad"),
    [
        ("", ["0.1", "99"], []),
        (">=1.26", ["1.26", "1.26.0", "1.26.4", "2.4.6"], ["1.25.9", "1.3"]),
        ("<2", ["1.26.4", "1.99"], ["2", "2.0.0", "2.4"]),
        (">=2.21,<2.22", ["2.21", "2.21.3"], ["2.20.9", "2.22.0", "3"]),
        ("==1.33.0", ["1.33", "1.33.0"], ["1.33.1"]),
        ("!=1.5", ["1.4", "1.5.1"], ["1.5.0"]),
        (">1,<=3", ["1.0.1", "3.0"], ["1.0", "3.0.1"]),
        ("~=2.2", ["2.2", "2.9"], ["2.1", "3.0"]),
        ("~=2.2.1", ["2.2.1", "2.2.9"], ["2.3", "2.2.0"]),
        (">=2.14", ["2.14.0rc1", "2.14.0.post1", "5.0.0.93"], ["2.13.9+cpu"]),
    ],
)
def test_accepts(versions: str, good: list[str], bad: list[str]) -> None:
    assert [v for v in good if not installation.accepts(versions, v)] == []
    assert [v for v in bad if installation.accepts(versions, v)] == []


def test_a_clause_that_is_none() -> None:
    with pytest.raises(ValueError, match="not a version clause"):
        installation.accepts("latest", "1.0")


def test_this_environment() -> None:
    here = installation.snapshot()
    assert here.versions["numpy"] == version("numpy")
    assert here.versions["ai-edge-litert"] == version("ai-edge-litert")
    assert here.folders == {package: ROOT / package for package in PACKAGES}
    assert installation.strangers(here, ROOT) == {}


def install(site: Path, name: str, *, packages: tuple[str, ...] = (), requires: str = "") -> None:
    """What pip leaves behind of a distribution, with empty packages."""
    folder = site / f"{name}-1.5.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.5"]
    lines += [f"Requires-Dist: {requires}"] if requires else []
    (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for package in packages:
        (site / package).mkdir(exist_ok=True)
        (site / package / "__init__.py").touch()
    records = [f"{package}/__init__.py,sha256=,0" for package in packages]
    (folder / "RECORD").write_text("\n".join([*records, ""]), encoding="utf-8")


def test_another_distribution_in_our_packages_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "Fleet_Tools", packages=("fleet", "fleet_tools"))
    monkeypatch.syspath_prepend(tmp_path)
    here = installation.snapshot()
    assert here.versions["fleet-tools"] == "1.5"
    assert here.owners["fleet"] >= {"fleet-tools"}
    assert installation.strangers(here, ROOT) == {"fleet": "the distribution fleet-tools"}


def test_a_folder_in_the_way_is_found(tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "__init__.py").touch()
    code = (
        "from pathlib import Path; from edge_sdk.machine import installation as i; import edge_sdk;"
        "print(i.strangers(i.snapshot(), Path(edge_sdk.__file__).resolve().parents[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(1, {str(ROOT)!r}); {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str({"fleet": str((tmp_path / "fleet").resolve())})


def test_the_first_of_two_copies_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "numpy")
    monkeypatch.syspath_prepend(tmp_path)
    assert installation.snapshot().versions["numpy"] == "1.5"


def test_requirements_are_edgeloops_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "edgeloop", requires="onnxruntime>=1.20; extra == 'onnx'")
    monkeypatch.syspath_prepend(tmp_path)
    here = installation.snapshot()
    assert here.requirements == (Requirement("onnxruntime", ">=1.20", "onnx"),)
    assert installation.of_extra(here.requirements, "onnx") == here.requirements
    assert installation.of_extra(here.requirements, "vision") == ()


def test_absent_and_unfit() -> None:
    wanted = (
        Requirement("tflite-runtime", ">=2.14", "tflite"),
        Requirement("numpy", "<2", "tflite"),
    )
    here = Snapshot({"numpy": "2.4.6"}, wanted, {}, {})
    assert installation.absent(here, "tflite") == wanted[:1]
    assert installation.unfit(here, "tflite") == wanted[1:]
