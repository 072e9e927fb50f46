from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from converters.workshop import tidied, workshop
from edge_sdk.errors import UnavailableError


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("end", [None, ValueError, KeyboardInterrupt])
def test_a_workshop_is_gone_whatever_happens(temporary, end):
    try:
        with workshop() as folder:
            (folder / "made").mkdir()
            (folder / "made" / "model").write_bytes(b"model")
            if end:
                raise end
    except (ValueError, KeyboardInterrupt) as error:
        assert type(error) is end
    assert folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_what_engines_leave_goes_too(temporary):
    with tidied():
        left = Path(tempfile.mkdtemp(suffix=".mlpackage"))
        with workshop() as inner:
            assert inner.parent == left.parent
    assert not left.exists()
    assert list(temporary.iterdir()) == []
    assert tempfile.gettempdir() == str(temporary)


def test_nowhere_to_make_one(temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "nowhere"))
    with (
        pytest.raises(UnavailableError, match="no folder for temporary files") as error,
        workshop(),
    ):
        pass
    assert "TMPDIR=" in error.value.hint
