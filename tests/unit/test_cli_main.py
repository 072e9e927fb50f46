"""``edge``: exit codes, one JSON object on stdout whatever engines print, and words for people.

Commands are found through entry points, so the commands of these tests come as a distribution of
their own, in a folder on the module path.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edge_sdk
from edge_sdk.cli.main import main

ROOT = Path(edge_sdk.__file__).parents[1]

COMMANDS = {
    "good": "return Outcome({'answer': 42, 'path': args.path}, f'the answer for {args.path}: 42')",
    "negative": "return Outcome({'passed': False}, 'it did not pass', 1)",
    "usage": "raise UsageError('The shape is wrong.', 'Reshape it.')",
    "unavailable": "raise UnavailableError('There is no broker.', 'pip install edgeloop[agent]')",
    "corrupt": "raise ArtifactError('x.edge is corrupt.')",
    "convertless": "raise ConversionError('It cannot be converted.')",
    "hostile": "raise UsageError('No file caf\\udce9 \\x1b[2J.\\nSecond line.')",
    "buggy": "return {}['not there']",
    "noisy": """
    import ctypes
    print('python was here')
    os.write(1, b'write was here\\n')
    libc = ctypes.CDLL(None)
    libc.printf(b'printf was here\\n')
    os.system('echo a child was here')
    print('progress', file=sys.stderr)
    return Outcome({'answer': 42}, 'the answer: 42')""",
    "long": "return Outcome({'lines': list(range(99999))}, 'line\\n' * 99999, 1)",
    "chatty": """
    while True:
        print('progress', file=sys.stderr, flush=True)""",
    "socket": """
    import socket
    one, other = socket.socketpair()
    other.close()
    with one:
        one.send(b'x')""",
    "slow": """
    from edge_sdk.files import whole_file
    with whole_file(Path(args.path)) as file:
        file.write(b'half')
        file.flush()
        print('started', file=sys.stderr, flush=True)
        time.sleep(60)""",
    "leaving": "sys.exit(5)",
}

MODULE = """
import os, sys, time
from pathlib import Path
from edge_sdk.cli.command import Outcome
from edge_sdk.errors import *
SUMMARY = "be {name}"
def configure(parser):
    parser.add_argument("path", nargs="?", default="x", help="what to answer for")
    parser.add_argument("--threads", type=int, help="how many")
def run(args):
    {body}
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a distribution with a command for every fate."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "fates").mkdir()
    for name, body in COMMANDS.items():
        (folder / "fates" / f"{name}.py").write_text(MODULE.format(name=name, body=body))
    (folder / "fates" / "broken.py").write_text("import a_module_that_nobody_has\n")
    points = [f"{name} = fates.{name}" for name in (*COMMANDS, "broken")]
    told = folder / "fates-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: fates\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[edge.commands]\n" + "\n".join(points) + "\n")
    return folder


@pytest.fixture
def edge(site: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run a command line here; answers exit code, stdout and stderr."""
    monkeypatch.syspath_prepend(str(site))

    def edge(*words: str) -> tuple[int, str, str]:
        code = main(words)
        return code, *capfd.readouterr()

    return edge


@pytest.fixture
def process(site: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Start a command line in a process of its own, by a shell script if ``shell`` is given."""

    def process(*words: str, shell: str = '"$@"', **options: Any) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
        return subprocess.Popen(
            ["bash", "-c", f"exec {shell}" if shell == '"$@"' else shell, "bash",
             sys.executable, "-m", "edge_sdk", *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )  # fmt: skip

    return process


Edge = Callable[..., tuple[int, str, str]]
Process = Callable[..., "subprocess.Popen[bytes]"]


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        ("good", 0, "the answer for x: 42\n", ""),
        ("negative", 1, "it did not pass\n", ""),
        ("convertless", 1, "", "edge: It cannot be converted.\n"),
        ("usage", 2, "", "edge: The shape is wrong.\n      Reshape it.\n"),
        (
            "unavailable",
            3,
            "",
            "edge: There is no broker.\n      pip install edgeloop[agent]\n",
        ),
        (
            "corrupt",
            4,
            "",
            "edge: x.edge is corrupt.\n"
            "      Fetch the artifact again, or convert the model again.\n",
        ),
        ("hostile", 2, "", "edge: No file caf\\udce9 \\x1b[2J.\n      Second line.\n"),
    ],
)
def test_exit_codes(edge: Edge, command: str, code: int, out: str, err: str) -> None:
    assert edge(command) == (code, out, err)


def test_a_bug(edge: Edge) -> None:
    code, out, err = edge("buggy")
    assert code == 70
    assert out == ""
    assert "KeyError: 'not there'" in err
    assert err.endswith(
        "edge: This is a bug in edgeloop, not in what you did.\n"
        "      Please report it with the lines above.\n"
    )


def test_json(edge: Edge) -> None:
    for words in (("good", "y", "--json"), ("--json", "good", "y")):
        code, out, err = edge(*words)
        assert (code, err) == (0, "")
        assert json.loads(out) == {"answer": 42, "path": "y"}
    code, out, _ = edge("negative", "--json")
    assert (code, json.loads(out)) == (1, {"passed": False})


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("usage", 2, "The shape is wrong."),
        ("unavailable", 3, "There is no broker."),
        ("corrupt", 4, "x.edge is corrupt."),
        ("hostile", 2, "No file caf\udce9 \x1b[2J.\nSecond line."),
        ("buggy", 70, "This is a bug in edgeloop, not in what you did."),
        ("nonesuch", 2, "There is no command 'nonesuch'."),
    ],
)
def test_errors_as_json_are_the_last_line_of_stderr(
    edge: Edge, command: str, code: int, message: str
) -> None:
    found, out, err = edge(command, "--json")
    assert (found, out) == (code, "")
    error = json.loads(err.splitlines()[-1])
    assert error["error"] == message
    assert error["exit_code"] == code
    assert isinstance(error["hint"], str)


def test_usage_of_a_command(edge: Edge) -> None:
    for words, said in (
        (("good", "--fast"), "Unrecognized arguments: --fast."),
        (("good", "a", "b"), "Unrecognized arguments: b."),
        (("good", "--threads", "two"), "Argument --threads: invalid int value: 'two'."),
        (("good", "--threads"), "Argument --threads: expected one argument."),
        (("good", "y", "--thr"), "Unrecognized arguments: --thr."),
        (("good", "--js"), "Unrecognized arguments: --js."),
    ):
        code, out, err = edge(*words)
        assert (code, out) == (2, "")
        assert err == f"edge: {said}\n      edge good --help   # says what it takes\n"


def test_help_of_a_command(edge: Edge) -> None:
    for words in (("good", "--help"), ("-h", "good"), ("good", "--fast", "-h")):
        code, out, err = edge(*words)
        assert (code, err) == (0, "")
        assert out.startswith("usage: edge good [-h] [--json]")
        assert "be good" in out
        assert "how many" in out


def test_help(edge: Edge) -> None:
    code, out, err = edge("--help")
    assert (code, err) == (0, "")
    assert out.startswith("usage: edge COMMAND")
    listed = out.partition("commands:\n")[2].partition("\n\n")[0].splitlines()
    assert {line.split()[0] for line in listed} >= {*COMMANDS, "broken"}
    assert "  good          be good" in listed
    assert listed == sorted(listed)
    assert "exit codes: 0 done" in out
    assert edge("-h")[1] == out


def test_a_command_that_cannot_be_imported_takes_nothing_else_away(edge: Edge) -> None:
    _, out, _ = edge("--help")
    assert "(not available) The command 'broken' cannot be imported" in out
    code, out, err = edge("broken")
    assert (code, out) == (3, "")
    assert "No module named 'a_module_that_nobody_has'" in err
    assert "pip install" in err


def test_nothing_asked(edge: Edge) -> None:
    """Whoever types ``edge`` wants to know what there is; a script that does is wrong."""
    code, out, err = edge()
    assert (code, err) == (2, "")
    assert out == edge("--help")[1]
    code, out, err = edge("--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"] == "No command was given."


def test_version(edge: Edge) -> None:
    assert edge("--version") == (0, f"{edge_sdk.__version__}\n", "")
    assert json.loads(edge("--version", "--json")[1]) == {"version": edge_sdk.__version__}


def test_an_unknown_command_or_option(edge: Edge) -> None:
    assert edge("goood") == (
        2,
        "",
        "edge: There is no command 'goood'.\n      Did you mean 'good'?\n",
    )
    code, _, err = edge("nonesuch")
    assert code == 2
    assert "There are: " in err
    code, _, err = edge("--fast")
    assert code == 2
    assert "There is no option '--fast' without a command." in err


def test_a_command_may_leave_as_it_likes(edge: Edge) -> None:
    with pytest.raises(SystemExit) as left:
        edge("leaving")
    assert left.value.code == 5


def test_in_another_thread(edge: Edge) -> None:
    """Signals can only be caught in the first; everything else works."""
    found: list[tuple[int, str, str]] = []
    thread = threading.Thread(target=lambda: found.append(edge("good")))
    thread.start()
    thread.join()
    assert found == [(0, "the answer for x: 42\n", "")]


def test_signals_are_as_they_were(edge: Edge) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    edge("good")
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before


def test_stdout_is_given_back(edge: Edge, capfd: pytest.CaptureFixture[str]) -> None:
    edge("noisy")
    print("ours again")
    assert capfd.readouterr().out == "ours again\n"


@pytest.mark.parametrize("shell", ['"$@"', '"$@" 2>/dev/null | cat'])
def test_stdout_is_the_object_alone(process: Process, shell: str) -> None:
    """Python, C with its buffers, and child processes: none of them reaches stdout."""
    out, err = process("noisy", "--json", shell=shell).communicate(timeout=30)
    assert json.loads(out) == {"answer": 42}
    if shell == '"$@"':
        for who in ("python", "write", "printf", "a child"):
            assert f"{who} was here" in err.decode()


def test_stdout_for_people_is_the_text_alone(process: Process) -> None:
    out, _ = process("noisy").communicate(timeout=30)
    assert out == b"the answer: 42\n"


def test_a_reader_that_has_seen_enough(process: Process) -> None:
    script = 'set -o pipefail; "$@" | head -1; echo "${PIPESTATUS[0]}"'
    out, err = process("long", shell=script).communicate(timeout=30)
    assert err == b""
    assert out == b"line\n1\n", "the verdict is the command's, read or not"


def test_progress_that_nobody_reads(process: Process) -> None:
    """``edge … 2>&1 | head -1`` ends the command, silently."""
    script = '"$@" 2>&1 >/dev/null | head -1; echo "${PIPESTATUS[0]}"'
    out, err = process("chatty", shell=script).communicate(timeout=30)
    assert err == b""
    assert out == b"progress\n141\n"


def test_a_broken_pipe_of_the_commands_own_is_a_bug(edge: Edge) -> None:
    code, _, err = edge("socket")
    assert code == 70
    assert "BrokenPipeError" in err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(process: Process, closed: str, tmp_path: Path) -> None:
    script = f'"$@" {closed}; echo "code $?" >&3'
    read, written = os.pipe()
    with process(
        "noisy", shell=script.replace("&3", f"/dev/fd/{written}"), pass_fds=[written]
    ) as run:
        os.close(written)
        out, _ = run.communicate(timeout=30)
    with os.fdopen(read) as codes:
        assert codes.read() == "code 0\n"
    assert out == (b"" if ">&-" in closed.replace("2>&-", "") else b"the answer: 42\n")


@pytest.mark.parametrize(("command", "code"), [("usage", 2), ("buggy", 70), ("good", 0)])
def test_a_full_disk_behind_stderr(process: Process, command: str, code: int) -> None:
    """The exit code still tells."""
    run = process(command, shell='"$@" 2>/dev/full >/dev/null; echo $?')
    assert run.communicate(timeout=30) == (f"{code}\n".encode(), b"")


def test_a_full_disk_behind_stdout(process: Process) -> None:
    out, err = process("good", shell='"$@" >/dev/full; echo $?').communicate(timeout=30)
    assert out == b"3\n"
    assert err == b"edge: The result cannot be written: No space left on device.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("as_json", [False, True])
def test_interrupted(
    process: Process, number: signal.Signals, as_json: bool, tmp_path: Path
) -> None:
    """Nothing half done is left, and no traceback is shown."""
    words = ["slow", str(tmp_path / "x"), *(["--json"] if as_json else [])]
    # The suite itself may have been started under nohup, which its children would inherit.
    with process(*words, shell='exec env --default-signal=HUP "$@"') as run:
        assert run.stderr is not None
        assert run.stderr.readline() == b"started\n"
        assert len(list(tmp_path.iterdir())) <= 1, "a part at most"
        run.send_signal(number)
        out, err = run.communicate(timeout=30)
    assert run.returncode == 130
    assert out == b""
    message = "Interrupted; nothing was left half done."
    if as_json:
        assert json.loads(err) == {"error": message, "hint": "", "exit_code": 130}
    else:
        assert err.decode() == f"edge: {message}\n"
    assert not list(tmp_path.iterdir())


def test_nohup_is_respected(process: Process, tmp_path: Path) -> None:
    script = 'trap "" HUP; exec "$@"'
    with process("slow", str(tmp_path / "x"), shell=script) as run:
        assert run.stderr is not None
        assert run.stderr.readline() == b"started\n"
        run.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(0.3)
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=30)
    assert run.returncode == 130


def test_a_file_name_that_is_not_unicode(process: Process) -> None:
    name = os.fsdecode(b"caf\xe9")
    out, err = process("good", name).communicate(timeout=30)
    assert (out, err) == (b"the answer for caf\\udce9: 42\n", b"")


def test_help_is_quick_to_read_off(process: Process) -> None:
    """Neither numpy nor an engine is imported to list the commands."""
    environment_probe = (
        "import sys; from edge_sdk.cli.main import main; main(['--help']); "
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    found = subprocess.run(
        [sys.executable, "-c", environment_probe],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stderr.split()
    assert not {"numpy", "tensorflow", "onnx", "onnxruntime", "cv2", "coremltools"} & set(found)


@pytest.mark.parametrize("command", ["demo voice", "fleet rollout start"])
def test_the_hint_is_of_the_command_that_was_meant(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), *"abcdef"]) == 2
    assert f"edge {command} --help" in capsys.readouterr().err
