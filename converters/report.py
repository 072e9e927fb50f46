"""The report page."""

from __future__ import annotations

from converters.identity import Identity
from edge_sdk.spec import ConversionReport


def render(report: ConversionReport, identity: Identity) -> str:
    """The page."""
    return ""
