"""The API as the commands speak it: one request, one word, and the fleet's errors as ours."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from edge_sdk.errors import (
    ArtifactError,
    EdgeError,
    FleetError,
    UnavailableError,
    UsageError,
)
from edge_sdk.spec.codec import UNREADABLE
from edge_sdk.spec.word import Word
from fleet.folder import read_address, read_secret

W = TypeVar("W")
TIMEOUT_S = 60.0
DEFAULT_DATA = "fleet"

_BY_EXIT_CODE: dict[int, type[EdgeError]] = {
    2: UsageError,
    3: UnavailableError,
    4: ArtifactError,
}


class _Refusal(Word, frozen=True, kw_only=True):
    """What the fleet answers when it does not do it."""

    error: str
    hint: str = ""
    exit_code: int = 3


class FleetClient:
    """One fleet, from outside."""

    def __init__(self, api: str, token: str) -> None:
        """Remember where; nothing is sent yet. Raises UsageError if ``api`` is no URL."""
        parts = urlsplit(api)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{api!r} is no URL of a fleet.", "For example http://127.0.0.1:8080")
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._base = f"{parts.path.rstrip('/')}/api/v1"
        self._api = api
        self._token = token

    def get(self, path: str, kind: type[W]) -> W:
        """Ask."""
        return self._exchange("GET", path, None, kind)

    def post(self, path: str, word: Word | None, kind: type[W]) -> W:
        """Ask for something to be done."""
        return self._exchange("POST", path, msgspec.json.encode(word) if word else b"", kind)

    def delete(self, path: str, kind: type[W]) -> W:
        """Ask for something to be taken away."""
        return self._exchange("DELETE", path, None, kind)

    def upload(self, path: str, file: Path, kind: type[W]) -> W:
        """Send a file as the body. Raises UsageError if it cannot be read."""
        try:
            with file.open("rb") as body:
                return self._exchange("POST", path, body, kind, size=file.stat().st_size)
        except OSError as error:
            raise UsageError(
                f"{file} cannot be read: {error.strerror or error}.", "Check the path."
            ) from error

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None,
        kind: type[W],
        size: int | None = None,
    ) -> W:
        """One request and its answer.

        Raises:
            UnavailableError: no fleet answers.
            FleetError: what answers is none.
            UsageError, ArtifactError, UnavailableError: as the fleet says.
        """
        # OpenSSL and the words of mail come with it: not for every ``edge --help``.
        from http.client import HTTPConnection, HTTPException, HTTPSConnection

        connection = (HTTPSConnection if self._tls else HTTPConnection)(
            self._host, self._port, timeout=TIMEOUT_S
        )
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = "application/json" if size is None else "application/zip"
        if size is not None:
            headers["Content-Length"] = str(size)
        try:
            connection.request(method, self._base + quote(path, safe="/?=&@"), body, headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read()
        except (OSError, HTTPException) as error:
            raise UnavailableError(
                f"No fleet answers at {self._api}: {error}.",
                "edge fleet serve   # or name another: --api URL --token-file FILE",
            ) from error
        finally:
            connection.close()
        try:
            if 200 <= status < 300:
                return msgspec.json.decode(text, type=kind)
            refusal = msgspec.json.decode(text, type=_Refusal)
        except UNREADABLE as error:
            raise FleetError(
                f"What answers at {self._api} ({status}) is no fleet of this edgeloop: {error}."
            ) from error
        raise _BY_EXIT_CODE.get(refusal.exit_code, FleetError)(refusal.error, refusal.hint)


def find_fleet(data: str | None, api: str | None, token_file: str | None) -> FleetClient:
    """The fleet that the flags name: ``--api`` with ``--token-file``, or the one of ``--data``.

    Raises:
        UsageError: no fleet was started there, or the token cannot be read.
    """
    if api is not None:
        if token_file is None:
            raise UsageError("--api needs the token too.", "--token-file FILE")
        return FleetClient(api, read_secret(Path(token_file)))
    address = read_address(Path(data or DEFAULT_DATA))
    return FleetClient(address.api, read_secret(Path(token_file or address.token_file)))
