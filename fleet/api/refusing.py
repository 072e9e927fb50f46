"""Errors as answers: ``{"error": …, "hint": …, "exit_code": …}``, whatever went wrong."""

from __future__ import annotations

import logging

import msgspec
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from edge_sdk.errors import ArtifactError, EdgeError, UnavailableError, UsageError
from edge_sdk.spec.word import Word
from fleet.refusals import ConflictError, NotFoundError, UnauthorizedError

STATUS: tuple[tuple[type[EdgeError], int], ...] = (
    (UnauthorizedError, 401),
    (NotFoundError, 404),
    (ConflictError, 409),
    (UsageError, 400),
    (ArtifactError, 422),
    (UnavailableError, 503),
)

_log = logging.getLogger(__name__)


class Refusal(Word, frozen=True, kw_only=True):
    """The body of every answer that is not a success."""

    error: str
    hint: str = ""
    exit_code: int = 2


def refuse(request: Request, error: Exception) -> Response[bytes]:  # type: ignore[type-arg]
    """The answer to an error of any kind."""
    if isinstance(error, EdgeError):
        status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
        refusal = Refusal(error=error.message, hint=error.hint, exit_code=error.exit_code)
    elif isinstance(error, HTTPException):
        status = error.status_code
        refusal = Refusal(
            error=_said(error), hint="/schema/openapi.json describes what can be asked."
        )
    else:
        _log.error("A request to %s failed", request.url.path, exc_info=error)
        status = 500
        refusal = Refusal(error="This is a bug in edgeloop.", hint="Its log has it.", exit_code=70)
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    return Response(
        msgspec.json.encode(refusal),
        status_code=status,
        media_type=MediaType.JSON,
        headers=headers,
    )


def _said(error: HTTPException) -> str:
    details = error.extra if isinstance(error.extra, list) else []
    more = [f"{d.get('key', '')}: {d.get('message', '')}" for d in details if isinstance(d, dict)]
    return "; ".join([error.detail, *more])
