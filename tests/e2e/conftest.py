"""What end-to-end tests share: the command in this process, and conversions made once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from fleet_process import FleetProcess

from edge_sdk.cli.main import main

# pytest's own sys.stdout does not go by way of descriptor 1, as it does in any other program. These
# do; never closed, since an engine may keep the one it met when it was imported.
STDOUT = os.fdopen(1, "w", buffering=1, encoding="utf-8", closefd=False)
STDERR = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)


@pytest.fixture(autouse=True)
def no_cache_of_others(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """What another test, or the person at this machine, has converted must not come out here."""
    monkeypatch.setattr("converters.cache.cache_folder", lambda: tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch):
    """Latencies are measured all the same; hundreds of conversions need not take long about it."""
    monkeypatch.setattr("edge_sdk.runtime.bench.TURN_SECONDS", 0.001)
    monkeypatch.setattr("converters.latency.SECONDS", 0.002)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetProcess]:
    """A real one in the test's folder; ends well unless the test has killed it."""
    process = FleetProcess(tmp_path)
    process.start()
    try:
        yield process
    finally:
        if process.process is not None:
            assert process.stop() == 0, process.log


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


Edge = Callable[..., Done]


@pytest.fixture
def edge(capfd: pytest.CaptureFixture[str]) -> Edge:
    """``edge(words …)``: one command line, in this process; starting another would take seconds."""

    def run(*words: object) -> Done:
        capfd.readouterr()
        with redirect_stdout(STDOUT), redirect_stderr(STDERR):
            code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run
