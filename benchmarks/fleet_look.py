"""What the fleet's look at a rollout costs, once a second, with its store: 5,000 devices.

A rollout in its last wave, when every device is looked at, in an SQLite file: what each has said
and was told, the windows of the canaries, the counts of all. The peer is the second that there is
for it. The first look of a fleet that has just started adds up all windows; the next ones what came
since. Times are the processor's; of several looks the median.

    python benchmarks/fleet_look.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from edge_sdk.spec.deployment import AppState, ArtifactRef, Assignment, Desired, Reported
from edge_sdk.spec.sketch import LogHistogram, Window
from edge_sdk.trust.signing import DirectorKey
from fleet.core.rollout import Pace, Rollout, Stage
from fleet.evidence import read_situation
from fleet.served import Served
from fleet.stores import devices, rollouts, telemetry
from fleet.stores.rollouts import Member
from fleet.stores.store import Store

DEVICES, WINDOWS, LOOKS = 5000, 20, 7
LIMITS = {"a look": 0.5}
"""Half of its second: the API and the page ask the same store."""
WAVES = (0.1, 0.25, 0.5, 1.0)
OLD = ArtifactRef(digest="a" * 64, name="doors", version="1.0.0")
NEW = ArtifactRef(digest="b" * 64, name="doors", version="1.1.0")
KEY = DirectorKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
LAST = Rollout(
    id="doors-1",
    app="doors",
    candidate=NEW,
    selector="all",
    created_ms=0,
    since_ms=0,
    beside=False,
    stage=Stage.ROLLING,
    wave=len(WAVES),
    waves=WAVES,
    pace=Pace(waves=WAVES),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="fleet_look")
    parser.add_argument("--quick", action="store_true", help="a fifth of the devices")
    count = DEVICES // 5 if parser.parse_args().quick else DEVICES
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'fleet.db'}")
        store.write_now(lambda c: fill(c, count))
        served = Served()
        first_s = look(store, served)
        looks_s = [look(store, served) for _ in range(LOOKS)]
        store.close()
    result = {
        "about": f"A look at {count:,} devices of a rollout in its last wave, with the store",
        "peer": "the second that there is for it",
        "ratios": {
            "a look": round(statistics.median(looks_s), 3),
            "the first look after a start": round(first_s, 3),
        },
        "limits": LIMITS,
    }
    print(json.dumps(result))


def look(store: Store, served: Served) -> float:
    """Seconds of the processor."""
    begun = time.process_time()
    store.read_now(lambda c: read_situation(c, LAST, 20, 60_000, served))
    return time.process_time() - begun


def fill(connection: Connection, count: int) -> None:
    """A fleet of which all serve the candidate."""
    names = [f"cam-{number:05}" for number in range(count)]
    app = AppState(serving=NEW, previous=OLD)
    window = Window(
        app="doors",
        artifact=NEW.digest,
        role="serve",
        boot="b",
        started_ms=0,
        ended_ms=1,
        monotonic_ms=0,
        inferences=200,
        latency=LogHistogram(counts={bin_: 4 for bin_ in range(300, 350)}),
    )
    for name in names:
        devices.add(connection, name, "secret", {"site": "roof"}, 1)
        devices.saw(connection, [name], 10)
        goal = {"doors": Assignment(serve=NEW, rollout=LAST.id)}
        desired = Desired(device=name, counter=3, issued_ms=1, apps=goal)
        devices.tell(connection, name, 3, KEY.sign(desired))
        devices.report_now(connection, name, Reported(counter=3, apps={"doors": app}), 10)
        telemetry.add(connection, name, [window] * WINDOWS, 11)
    members = [
        Member(name, 0 if number < count // 20 else 1 + number * len(WAVES) // count, OLD)
        for number, name in enumerate(names)
    ]
    rollouts.add(connection, 1, LAST, members)


if __name__ == "__main__":
    sys.exit(main())
