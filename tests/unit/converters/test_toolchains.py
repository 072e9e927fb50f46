"""Toolchains: built whole or not at all, one at a time, found damaged, taken away.

Those built here are of a package that the test makes itself and pip finds in a folder; the real
one is built by ``make toolchains``, and used in ``tests/e2e/test_convert_onnx.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from converters.toolchains import Toolchain, building, drive, examine, install, need, remove
from converters.toolchains.catalogue import TETHER
from converters.toolchains.place import MARK, folder_of
from edge_sdk.cli.main import main
from edge_sdk.errors import ConversionError, UnavailableError, UsageError

DRIVER = """
import sys, time
try:
    import toy
except Exception as error:
    print(f"reason: {error}", file=sys.stderr)
    sys.exit(3)
if sys.argv[1:] == ["--check"]:
    sys.exit(0)
if sys.argv[1] == "sleep":
    time.sleep(60)
if sys.argv[1] == "fail":
    print("first words")
    print("reason: the toy is broken", file=sys.stderr)
    sys.exit(1)
if sys.argv[1] == "die":
    import os, signal
    os.kill(os.getpid(), signal.SIGSEGV)
open(sys.argv[1], "w").write(toy.SAYS)
"""


@dataclass(frozen=True)
class Toy(Toolchain):
    """A toolchain whose lock and driver are the test's."""

    place: Path = Path()

    @property
    def lock(self) -> Path:
        return self.place / "toy.lock"

    @property
    def driver(self) -> Path:
        return self.place / "drive_toy.py"


def _wheel(folder: Path, size: int = 0) -> None:
    """A wheel of one module; a large one takes pip a while to unpack."""
    folder.mkdir()
    files = {
        "toy.py": "SAYS = 'hello'\n",
        "toy-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n",
        "toy-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files |= {f"toys/part{n}.py": f"N = {n}\n" for n in range(size)}
    record = "".join(f"{name},,\n" for name in [*files, "toy-1.0.dist-info/RECORD"])
    with zipfile.ZipFile(folder / "toy-1.0-py3-none-any.whl", "w") as archive:
        for name, text in {**files, "toy-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)


def _toy(place: Path, patch: pytest.MonkeyPatch, home: Path) -> Toy:
    patch.setenv("EDGELOOP_TOOLCHAINS", str(home))
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(place / "index"))
    (place / "toy.lock").write_text("# a lock\ntoy==1.0\n")
    (place / "drive_toy.py").write_text(DRIVER)
    return Toy("toy", "for tests", needed_mb=1, place=place)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A toolchain that is not installed yet."""
    _wheel(tmp_path / "index")
    return _toy(tmp_path, monkeypatch, tmp_path / "home")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which it is installed, to be copied: pip takes seconds."""
    place = tmp_path_factory.mktemp("built")
    _wheel(place / "index")
    with pytest.MonkeyPatch.context() as patch:
        install(_toy(place, patch, place / "home"))
    return place / "home"


@pytest.fixture
def installed(toy: Toy, built: Path) -> Toy:
    """A toolchain that is installed."""
    shutil.copytree(built, toy.place / "home", symlinks=True)
    return toy


def _installing(toy: Toy) -> subprocess.Popen[str]:
    """``install`` in a process of its own."""
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from test_toolchains import Toy; from converters.toolchains import install;"
        "place = Path(sys.argv[1]);"
        "install(Toy('toy', 'for tests', needed_mb=1, place=place), lambda t: print(t, flush=True))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(toy.place), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_is_built_from_its_lock_and_found_again(toy, tmp_path):
    assert examine(toy) == ("missing", None)
    mark = install(toy)
    assert examine(toy) == ("installed", mark)
    assert mark.lock_sha256 == toy.lock_sha256
    assert mark.size > 0
    told: list[str] = []
    assert install(toy, told.append) == mark
    assert told == []
    drive(toy, [str(tmp_path / "out")], tmp_path, "Playing")
    assert (tmp_path / "out").read_text() == "hello"
    assert toy.tools() == {"toy": f"1.0 (lock sha256:{toy.lock_sha256[:16]})"}


def test_another_lock_is_another_toolchain(installed):
    (installed.place / "toy.lock").write_text("# another lock\ntoy==1.0\n")
    other = Toy("toy", "for tests", needed_mb=1, place=installed.place)
    assert examine(other) == ("missing", None)


def test_a_build_that_was_killed_does_not_count_and_is_begun_anew(toy):
    (toy.place / "index" / "toy-1.0-py3-none-any.whl").unlink()
    (toy.place / "index").rmdir()
    _wheel(toy.place / "index", size=60)
    process = _installing(toy)
    site = folder_of(toy) / "lib"
    deadline = time.monotonic() + 60
    while not list(site.rglob("part*.py")):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (folder_of(toy) / MARK).exists()
    assert examine(toy) == ("missing", None)
    with pytest.raises(UnavailableError, match="which is not installed"):
        need(toy)
    install(toy)  # waits until the pip that was left has ended, for it holds the lock
    assert examine(toy)[0] == "installed"
    assert len(list(site.rglob("part*.py"))) == 60


def test_two_builds_at_once_are_one(toy):
    processes = [_installing(toy), _installing(toy)]
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert sum("installing toy" in out for out, _ in said) == 1
    assert examine(toy)[0] == "installed"


@pytest.mark.parametrize("harm", ["a file is gone", "a file is cut", "no python", "a bad mark"])
def test_a_damaged_one_is_found_out(installed, tmp_path, harm):
    (module,) = (folder_of(installed) / "lib").rglob("toy.py")
    if harm == "a file is gone":
        module.unlink()
    elif harm == "a file is cut":
        module.write_text("")
    elif harm == "no python":
        for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
            (folder_of(installed) / "bin" / name).unlink()
    else:
        (folder_of(installed) / MARK).write_text("{")
    assert examine(installed)[0] == "damaged"
    with pytest.raises(UnavailableError, match="damaged") as caught:
        drive(installed, [str(tmp_path / "out")], tmp_path, "Playing")
    assert caught.value.hint.startswith("edge toolchain install toy")


def test_damage_that_sizes_do_not_tell_is_found_when_it_is_used_and_mended(installed, tmp_path):
    (module,) = (folder_of(installed) / "lib").rglob("toy.py")
    module.write_text("import nowhere\n")
    assert len("import nowhere\n") == len("SAYS = 'hello'\n")
    assert examine(installed)[0] == "installed"
    with pytest.raises(UnavailableError, match="damaged: No module named 'nowhere'"):
        drive(installed, [str(tmp_path / "out")], tmp_path, "Playing")
    told: list[str] = []
    install(installed, told.append)
    assert any("damaged" in text for text in told)
    drive(installed, [str(tmp_path / "out")], tmp_path, "Playing")


def test_it_is_removed_in_every_version(installed):
    older = installed.place / "home" / "toy-0.9-py310-0123"
    older.mkdir()
    assert remove(installed) > 0
    assert examine(installed)[0] == "missing"
    assert [path.name for path in (installed.place / "home").iterdir()] == ["toy.lock"]
    assert remove(installed) == 0


def test_without_a_package_index_it_says_so_and_leaves_nothing(toy, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(UnavailableError, match="No matching distribution found for toy") as caught:
        install(toy)
    assert "check the network" in caught.value.hint
    assert "edge toolchain install toy" in caught.value.hint
    assert [path.name for path in (toy.place / "home").iterdir()] == ["toy.lock"]


def test_without_pip_it_says_how_to_get_one(toy, monkeypatch):
    monkeypatch.setattr(building, "find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match="neither pip nor ensurepip") as caught:
        install(toy)
    assert "python3-venv" in caught.value.hint
    assert examine(toy)[0] == "missing"


def test_without_room_it_does_not_begin(toy):
    greedy = Toy("toy", "for tests", needed_mb=10**9, place=toy.place)
    with pytest.raises(UnavailableError, match="MB left"):
        install(greedy)


def test_a_folder_that_cannot_be_written(toy, monkeypatch):
    (toy.place / "file").touch()
    monkeypatch.setenv("EDGELOOP_TOOLCHAINS", str(toy.place / "file" / "below"))
    with pytest.raises(UsageError, match="cannot be written") as caught:
        install(toy)
    assert "EDGELOOP_TOOLCHAINS" in caught.value.hint


def test_what_is_installed_and_does_not_run_is_taken_away(toy):
    (toy.place / "drive_toy.py").write_text("raise ImportError('no libtoy.so')")
    with pytest.raises(UnavailableError, match="does not run here: ImportError: no libtoy"):
        install(toy)
    assert examine(toy)[0] == "missing"


def test_a_driver_that_fails_is_quoted(installed, tmp_path):
    with pytest.raises(ConversionError, match="Playing failed: the toy is broken") as caught:
        drive(installed, ["fail"], tmp_path, "Playing", "Play another game.")
    assert caught.value.hint == "Play another game.\nThe engine said:\nfirst words"
    with pytest.raises(ConversionError, match="ended by SIGSEGV"):
        drive(installed, ["die"], tmp_path, "Playing")


def test_a_driver_has_a_time_limit(installed, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGELOOP_TOOLCHAIN_LIMIT_S", "0.5")
    begun = time.monotonic()
    with pytest.raises(ConversionError, match=r"not done after 0.5 s") as caught:
        drive(installed, ["sleep"], tmp_path, "Playing")
    assert time.monotonic() - begun < 10
    assert "EDGELOOP_TOOLCHAIN_LIMIT_S=2" in caught.value.hint
    monkeypatch.setenv("EDGELOOP_TOOLCHAIN_LIMIT_S", "soon")
    with pytest.raises(UsageError, match="no number of seconds"):
        drive(installed, ["sleep"], tmp_path, "Playing")


DRIVING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_toolchains import Toy
from converters.toolchains import drive
place = Path(sys.argv[1])
drive(Toy("toy", "for tests", needed_mb=1, place=place), ["sleep"], place, "Playing")
"""


def test_a_driver_ends_with_the_one_that_waits_for_it(installed):
    here = [str(installed.place), str(Path(__file__).parent)]
    with subprocess.Popen([sys.executable, "-c", DRIVING, *here]) as parent:
        (driver,) = _children(parent.pid, str(installed.driver))
        parent.kill()
    _gone(driver)


def test_a_driver_whose_parent_is_gone_already_ends_as_well(tmp_path):
    """The kernel was asked too late; the thread that looks who the parent is ends it."""
    driver = tmp_path / "driver.py"
    driver.write_text("import time\ntime.sleep(60)\n")
    with subprocess.Popen([sys.executable, "-c", ""]) as other:
        pass
    begun = time.monotonic()
    done = subprocess.run([sys.executable, str(TETHER), str(other.pid), str(driver)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert time.monotonic() - begun < 10


def _children(parent: int, word: str) -> list[int]:
    """The children that have that word on their command line, when there are some."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        of = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        found = [int(n) for n in of if word in Path(f"/proc/{n}/cmdline").read_text()]
        if found:
            return found
        time.sleep(0.02)
    return []


def _gone(process: int) -> None:
    """Wait until there is no such process, for a few seconds."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except FileNotFoundError:
            return
        time.sleep(0.02)
    pytest.fail(f"process {process} goes on")


def test_the_driver_of_onnx2tf_has_no_network():
    program = (
        "import sys, socket\n"
        "from converters.toolchains.drivers.drive_onnx2tf import _no_network\n"
        "sys.addaudithook(_no_network)\n"
        "socket.create_connection(('127.0.0.1', 9))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "PermissionError: a conversion has no business on the network" in done.stderr


def test_the_command_lists_and_removes(capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGELOOP_TOOLCHAINS", str(tmp_path))
    assert main(["toolchain", "list", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["home"] == str(tmp_path)
    (entry,) = told["toolchains"]
    assert (entry["name"], entry["state"], entry["size"]) == ("onnx2tf", "missing", 0)
    assert main(["toolchain", "list"]) == 0
    assert "Get it: edge toolchain install onnx2tf" in capfd.readouterr().out
    assert main(["toolchain", "remove", "onnx2tf", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"name": "onnx2tf", "removed": False, "freed": 0}
    assert main(["toolchain", "install", "onnx2tv"]) == 2
    assert "Did you mean 'onnx2tf'?" in capfd.readouterr().err
