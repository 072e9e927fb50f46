"""Words of rollouts for the tests of the fleet."""

from typing import Any

from edge_sdk.spec.deployment import AppState, ArtifactRef
from edge_sdk.spec.sketch import Comparison, LogHistogram, Window
from fleet.core.rollout import Rollout

OLD = ArtifactRef(digest="a" * 64, name="fashion", version="1.0.0")
NEW = ArtifactRef(digest="b" * 64, name="fashion", version="1.1.0")


def a_rollout(**changes: Any) -> Rollout:
    fields: dict[str, Any] = {
        "id": "fashion-1",
        "app": "fashion",
        "candidate": NEW,
        "selector": "all",
        "created_ms": 0,
        "since_ms": 0,
        "beside": True,
    }
    return Rollout(**{**fields, **changes})


def an_app(**changes: Any) -> AppState:
    return AppState(**{"serving": OLD, **changes})


def a_window(**changes: Any) -> Window:
    fields: dict[str, Any] = {
        "app": "fashion",
        "artifact": NEW.digest,
        "role": "shadow",
        "started_ms": 1,
        "ended_ms": 2,
        "boot": "boot",
        "monotonic_ms": 1,
        "inferences": 100,
        "latency": LogHistogram(counts={100: 100}),
        "comparison": Comparison(compared=100, disagreed=10),
    }
    return Window(**{**fields, **changes})
