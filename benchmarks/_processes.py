"""How benchmarks start programs."""

from __future__ import annotations

import os


def environment() -> dict[str, str]:
    """Ours, but with compiled modules kept, as they are wherever edgeloop is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
