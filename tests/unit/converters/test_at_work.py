from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import types
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from converters.engines import at_work, engine, quiet, tool_version
from edge_sdk.errors import ConversionError, UnavailableError, UsageError

ROOT = Path(__file__).resolve().parents[3]


NOISY = """
import logging, os, sys, warnings
from converters.engines import at_work, quiet
with at_work("Converting"):
    print("from Python")
    print("from Python", file=sys.stderr)
    os.write(1, b"from C")
    os.write(2, b"from C")
    logging.getLogger("engine").error("from a logger")
    warnings.warn("from a warning")
    with quiet():
        print("from inside")
    print("from Python again")
print("result")
print("afterwards", file=sys.stderr)
"""


def test_chatter_of_python_and_of_c_is_kept_off_both_streams():
    # In a process of its own: pytest's sys.stdout does not go by way of descriptor 1.
    done = subprocess.run(
        [sys.executable, "-c", NOISY], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert (done.stdout, done.stderr) == ("result\n", "afterwards\n")


def test_it_works_where_python_has_no_streams(monkeypatch):
    """As in ``edge convert … >&- 2>&-``."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with quiet():
        os.write(1, b"chatter")


def test_a_failure_brings_the_engine_s_words_and_the_end_of_its_chatter():
    with pytest.raises(ConversionError) as error, at_work("Converting m", "Try fp16."):
        for line in range(40):
            os.write(1, f"line {line}\n".encode())
        raise ValueError("no such\n  operation")
    assert error.value.message == "Converting m failed: no such operation"
    hint = error.value.hint.splitlines()
    assert hint[:2] == ["Try fp16.", "The engine said:"]
    assert hint[2:] == [f"line {line}" for line in range(28, 40)]
    assert isinstance(error.value.__cause__, ValueError)


def test_progress_bars_colours_and_stacks_are_left_out():
    with pytest.raises(ConversionError) as error, at_work("Converting m"):
        print("Passes:  50%|█████     | 3/6 [00:00<00:00]\n\n  ")
        raise RuntimeError(
            "\x1b[1mGraph execution error:\x1b[0m\nDetected at node a/b defined at (most recent):\n"
            '  File "model.py", line 3, in <module>\nIncompatible shapes'
        )
    assert error.value.message == "Converting m failed: Graph execution error: Incompatible shapes"
    assert error.value.hint == ""


def test_what_matters_is_told_alone():
    gist = at_work("Converting m", "Go on.", gist=lambda said: said.partition(": ")[2])
    with pytest.raises(ConversionError) as error, gist:
        os.write(1, b"pages of it")
        raise RuntimeError("loc(fused): no operation Betainc")
    assert error.value.message == "Converting m failed: no operation Betainc"
    assert error.value.hint == "Go on."


def test_an_exception_without_words_is_named():
    with (
        pytest.raises(ConversionError, match="Converting m failed: KeyError"),
        at_work("Converting m"),
    ):
        raise KeyError


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_no_engine_is_to_blame_for_passes(kind, capfd):
    with pytest.raises(kind), at_work("Converting"):
        raise kind
    os.write(1, b"restored\n")
    assert capfd.readouterr().out == "restored\n"


def test_our_own_errors_pass():
    with pytest.raises(UsageError, match="wrong shape"), at_work("Converting"):
        raise UsageError("wrong shape")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EFBIG, os.strerror(errno.EFBIG)),
        RuntimeError("RESOURCE_EXHAUSTED: /x/variables; No space left on device"),
        RuntimeError("[MIL FileWriter]: Unknown error occurred while writing data to the file."),
    ],
    ids=repr,
)
def test_a_full_disk_is_no_fault_of_the_model(error):
    with pytest.raises(UnavailableError, match="no room") as found, at_work("Writing"):
        raise error
    assert "df -h" in found.value.hint
    assert "TMPDIR" in found.value.hint


def test_logging_is_as_it_was(caplog):
    with quiet():
        pass
    logging.getLogger("ours").warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_an_interrupt_that_an_engine_swallows_is_raised_in_the_end(number):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), at_work("Converting"):
            try:
                os.kill(os.getpid(), number)
            except BaseException:  # noqa: BLE001 - as coremltools does
                swallowed = True
        assert swallowed
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)


def test_an_interrupt_that_an_engine_turns_into_an_error_stays_an_interrupt():
    with pytest.raises(KeyboardInterrupt), at_work("Converting"):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt as error:
            raise RuntimeError("graph pass failed") from error


def test_it_works_in_a_thread():
    failed = []

    def work():
        try:
            with at_work("Converting"):
                raise ValueError("no")
        except ConversionError as error:
            failed.append(error.message)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failed == ["Converting failed: no"]


def test_a_missing_engine_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(UnavailableError, match="needs coremltools") as error:
        engine("coremltools")
    assert error.value.hint == "pip install 'edgeloop[convert]'"
    assert error.value.exit_code == 3


def test_the_version_of_a_distribution_of_another_name(monkeypatch):
    """``tensorflow-cpu`` brings the module ``tensorflow`` and no distribution of that name."""
    module = types.ModuleType("keras")
    monkeypatch.setitem(sys.modules, "keras", module)
    monkeypatch.setattr("converters.engines.version", _not_there)
    assert tool_version("keras") == "unknown"
    module.__version__ = "3.99"
    assert tool_version("keras") == "3.99"


def _not_there(distribution):
    raise PackageNotFoundError(distribution)
