"""The page at ``/``."""

from __future__ import annotations

from litestar import Controller, MediaType, get


class Page(Controller):
    """One live page."""

    path = "/"

    @get("/", media_type=MediaType.HTML, include_in_schema=False)
    async def index(self) -> str:
        """The page."""
        return "<!doctype html><title>fleet</title>"
