"""What end-to-end tests share: the command in this process, and conversions made once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from edge_sdk.cli.main import main


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
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run
