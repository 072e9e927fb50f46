"""Who may: whoever has the token.

Programs send it as ``Authorization: Bearer``. A browser is given it once, as the fragment of the
page's address (``/#TOKEN``, which no server and no log ever sees), and keeps it in a cookie that
other sites cannot use and that is good for reading only: whatever changes the fleet wants the
header.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from fleet.refusals import UnauthorizedError

COOKIE = "edgeloop"
_HINT = "Send 'Authorization: Bearer TOKEN'; the token is in the file DATA/token."


def guard(connection: ASGIConnection, _route: BaseRouteHandler) -> None:  # type: ignore[type-arg]
    """Refuse whoever has no token. Raises UnauthorizedError."""
    token: str = connection.app.state.token
    kind, _, given = connection.headers.get("authorization", "").partition(" ")
    if kind:
        if kind.lower() == "bearer" and matches(given.strip(), token):
            return
        raise UnauthorizedError("The token is not this fleet's.", _HINT)
    if connection.scope.get("method") in ("GET", "HEAD") and has_cookie(connection, token):
        return
    raise UnauthorizedError("There is no token in the request.", _HINT)


def has_cookie(connection: ASGIConnection, token: str) -> bool:  # type: ignore[type-arg]
    """Whether a browser has signed in."""
    try:
        cookies = SimpleCookie(connection.headers.get("cookie", ""))
    except CookieError:
        return False
    return COOKIE in cookies and matches(cookies[COOKIE].value, looking(token))


def looking(token: str) -> str:
    """What a browser's cookie holds: made from the token, and no way back to it."""
    return hmac.new(token.encode(), b"edgeloop page", "sha256").hexdigest()


def matches(given: str, token: str) -> bool:
    """Whether it is the token, in a time that does not tell how nearly."""
    return hmac.compare_digest(given.encode(), token.encode())
