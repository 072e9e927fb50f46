"""The ASGI application: routes, the page, errors, OpenAPI."""

from __future__ import annotations

import asyncio

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ExceptionHandlersMap

from edge_sdk.spec.version import AGENT_VERSION
from fleet.api.refusing import refuse
from fleet.api.routes import FleetRoutes
from fleet.dashboard.live import Live
from fleet.dashboard.page import Page
from fleet.fleet import Fleet

_HANDLERS: ExceptionHandlersMap = {Exception: refuse}


def application(fleet: Fleet, token: str, stop: asyncio.Event) -> Litestar:
    """What uvicorn serves.

    Args:
        fleet: that it is about.
        token: of whoever may.
        stop: set when the fleet ends, so that endless answers end too.
    """

    async def the_fleet() -> Fleet:
        return fleet

    live = Live(fleet)

    async def the_live() -> Live:
        return live

    return Litestar(
        route_handlers=[FleetRoutes, Page],
        dependencies={"fleet": Provide(the_fleet), "live": Provide(the_live)},
        exception_handlers=_HANDLERS,
        state=State({"token": token, "stop": stop}),
        openapi_config=OpenAPIConfig(
            title="edgeloop fleet",
            version=AGENT_VERSION,
            # The document alone: every page that shows it would fetch its scripts from elsewhere.
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
            components=Components(
                security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}
            ),
            security=[{"token": []}],
        ),
        logging_config=None,
        request_max_body_size=None,
    )
