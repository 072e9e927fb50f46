"""A model to be recorded, and where its log is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted_pictures import planted, session


@pytest.fixture
def model(tmp_path: Path):
    with session(planted(tmp_path / "m.onnx")) as loaded:
        yield loaded


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"
