"""What an earlier stage has answered, for a stage that builds on it."""

from __future__ import annotations

from typing import Any

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Frame


def answer(frame: Frame, of: str, *kinds: type) -> Any:
    """What the stage ``of`` has answered about a frame.

    Args:
        frame: as it comes.
        of: the stage's name.
        kinds: what is wanted, any of them; of none given, whatever there is.

    Raises:
        UsageError: there is no such stage before, or it answers something else.
    """
    found = frame.answers.get(of)
    if found is not None and isinstance(found, kinds or object):
        return found
    wanted = " or ".join(each.__name__ for each in kinds) or "An answer"
    raise UsageError(
        f"{wanted} of the stage {of!r} is wanted; it has answered "
        f"{'nothing' if found is None else type(found).__name__}.",
        f"Stages before: {', '.join(frame.answers) or 'none'}.",
    )
