"""Words of rollouts for the tests of the fleet."""

from typing import Any

from edge_sdk.spec.bench import BenchReport, Configuration, Measurement, Timings
from edge_sdk.spec.deployment import AppState, ArtifactRef
from edge_sdk.spec.placement import Placement
from edge_sdk.spec.profile import DeviceProfile
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


PROFILE = DeviceProfile(
    name="pi",
    system="Linux",
    machine="aarch64",
    python="3.11",
    cpu="A76",
    cpu_features=(),
    cores=4,
    memory_bytes=1,
    runtimes=(),
    edgeloop="0.1.0",
)


def a_bench(p50_ms: float, name: str = "flowers") -> BenchReport:
    timings = Timings(calls=9, mean_ms=2.0, p50_ms=p50_ms, p90_ms=9.0, p99_ms=9.0, per_second=100.0)
    measurement = Measurement(
        configuration=Configuration(backend="litert", threads=1, variant="tflite-int8"),
        placement=Placement(
            backend="litert",
            backend_version="2.3.0",
            requested=(),
            attempts=(),
            operations=None,
            threads=1,
        ),
        load_ms=1.0,
        first_ms=1.0,
        timings=timings,
        memory_growth_bytes=-4096,
    )
    return BenchReport(
        model="slots/ab",
        profile=PROFILE,
        inputs=(),
        seconds=1.0,
        measurements=(measurement,),
        artifact=ArtifactRef(digest="ab" * 32, name=name, version="1.0.0"),
    )
