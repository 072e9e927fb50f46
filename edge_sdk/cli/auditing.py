"""``--audit FILE.jsonl``: the commands that answer can leave a record of every answer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.errors import UsageError
from edge_sdk.files import same_file

if TYPE_CHECKING:
    from edge_sdk.audit import AuditLog
    from edge_sdk.explain import Explanation
    from edge_sdk.runtime import Session


def add_audit(parser: argparse.ArgumentParser) -> None:
    """Add the flag."""
    parser.add_argument(
        "--audit",
        type=Path,
        metavar="FILE.jsonl",
        help="append a record of every answer: digests, scores, model; never the input",
    )


class Trail:
    """What a command tells of its answers; kept only if that was asked for."""

    def __init__(self, log: AuditLog | None) -> None:
        self._log = log

    def record(
        self,
        session: Session,
        inputs: Any,
        answer: Any,
        source: Path,
        index: int = 0,
        explanation: Explanation | None = None,
    ) -> None:
        """One answer to what was read from ``source``. Raises as ``AuditLog.record``."""
        if self._log is not None:
            self._log.record(
                session,
                inputs,
                answer,
                explanation=explanation,
                source_sha256=_sha256(source),
                index=index,
            )


@contextmanager
def audit_of(args: argparse.Namespace) -> Iterator[Trail]:
    """The trail that the flag asks for, open meanwhile; what does not hold of it is told.

    Raises:
        UsageError: the command has another use for that file; and as ``AuditLog``.
    """
    if args.audit is None:
        yield Trail(None)
        return
    from edge_sdk.audit import AuditLog

    _refuse_other_uses(args)
    with AuditLog(args.audit) as log:
        if log.broken:
            print(
                f"edge: {args.audit} does not hold: {log.broken}. It is continued, and the next "
                f"record says so.\n  edge audit verify {args.audit}",
                file=sys.stderr,
            )
        yield Trail(log)


def _refuse_other_uses(args: argparse.Namespace) -> None:
    """See that the log is none of the files that the command reads or writes besides."""
    for name, value in vars(args).items():
        for path in value if isinstance(value, list) else [value]:
            if name != "audit" and isinstance(path, Path) and same_file(path, args.audit):
                by_link = "" if path == args.audit else f", which is {path}"
                raise UsageError(
                    f"The audit log cannot be {args.audit}{by_link}: the command reads or writes "
                    "that besides.",
                    "--audit audit.jsonl   # a file of its own",
                )


@lru_cache(maxsize=1)
def _sha256(source: Path) -> str:
    """Of a file, once for all of its frames; empty of what is none, as a camera."""
    from edge_sdk.files import sha256_file

    return sha256_file(source) if source.is_file() else ""
