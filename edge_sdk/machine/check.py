"""One thing that ``edge doctor`` looked at."""

from __future__ import annotations

from typing import Literal

from edge_sdk.spec.word import Word

Area = Literal["packages", "engines", "extras", "machine"]


class Check(Word, frozen=True, kw_only=True):
    """What was seen, and what to do about it.

    *Missing* means that nothing is broken; *wrong* means that it will fail, or already harms
    something else.

    Attributes:
        name: what it is.
        state: see above.
        found: what was seen.
        mend: the command, or the step, that gets or repairs it; empty where nothing needs doing.
        area: under which heading it is told.
    """

    name: str
    state: Literal["ok", "missing", "wrong"]
    found: str
    mend: str = ""
    area: Area = "packages"


def pip(extra: str) -> str:
    """The line that installs an extra."""
    return f"pip install 'edgeloop[{extra}]'"
