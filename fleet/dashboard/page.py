"""The page at ``/``, its session, and the stream that keeps it up to date."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Controller, MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.response import ServerSentEvent, ServerSentEventMessage
from litestar.status_codes import HTTP_204_NO_CONTENT
from markupsafe import Markup

from fleet.api.access import COOKIE, guard, has_cookie, looking
from fleet.dashboard.live import EVERY_S, IDS, TEMPLATES, Live
from fleet.fleet import Fleet

_POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Page(Controller):
    """One live page."""

    path = "/"
    include_in_schema = False

    @get("/", media_type=MediaType.HTML)
    async def index(
        self, request: Request[Any, Any, Any], fleet: Fleet, live: Live
    ) -> Response[str]:
        """The page; or, for whoever has not said the token yet, the place to say it."""
        nonce = secrets.token_urlsafe(12)
        if has_cookie(request, request.app.state.token):
            html = TEMPLATES.get_template("page.html").render(
                name=fleet.name,
                nonce=nonce,
                ids=IDS,
                sections={id_: Markup(html) for id_, html in (await live.sections()).items()},
            )
        else:
            html = TEMPLATES.get_template("signin.html").render(name=fleet.name, nonce=nonce)
        return Response(
            html,
            media_type=MediaType.HTML,
            headers={
                "content-security-policy": _POLICY.format(nonce=nonce),
                "cache-control": "no-store",
                "referrer-policy": "no-referrer",
                "x-content-type-options": "nosniff",
            },
        )

    @post("/session", guards=[guard], status_code=HTTP_204_NO_CONTENT)
    async def sign_in(self, request: Request[Any, Any, Any]) -> Response[None]:
        """Give a browser that has said the token a cookie; it is good for looking alone."""
        cookie = Cookie(
            key=COOKIE,
            value=looking(request.app.state.token),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            path="/",
        )
        return Response(None, status_code=HTTP_204_NO_CONTENT, cookies=[cookie])

    @get("/events", guards=[guard])
    async def events(self, request: Request[Any, Any, Any], live: Live) -> ServerSentEvent:
        """Sections as they change."""
        return ServerSentEvent(_changes(live, request.app.state.stop))


async def _changes(live: Live, stop: asyncio.Event) -> AsyncIterator[ServerSentEventMessage]:
    """What has changed since the last time, every now and then, until the fleet ends."""
    shown: dict[str, str] = {}
    while not stop.is_set():
        sections = await live.sections()
        changed = {id_: html for id_, html in sections.items() if shown.get(id_) != html}
        # An empty one too: how else would it be found out that nobody listens any more?
        data = msgspec.json.encode(changed).decode()
        yield ServerSentEventMessage(data=data, event="sections")
        shown = sections
        try:
            async with asyncio.timeout(EVERY_S):
                await stop.wait()
        except TimeoutError:
            continue
