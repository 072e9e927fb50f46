"""What deciding on a rollout costs with 20,000 devices, in waves and without.

The pure core alone, no store and no broker: devices are dealt out once, and then, once a second of
a simulated clock, it is asked where each of them stands, what the gate says and what follows, until
all serve the candidate. One device in fifty is away, one in two hundred gives up. The peer is the
same rollout without waves: canaries, then all others at once. A look at a tenth of the devices,
ten times, shows whether it grows any faster than they do. Times are the processor's, since nothing
here waits; the best of several turns, taken by turns.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_sdk.spec.deployment import AppState, ArtifactRef, State
from fleet.core.gate import Limits, Outcome, Trial, judge
from fleet.core.rollout import Goal, Pace, Rollout, Stage, step
from fleet.core.situation import Place, Standing, look, place
from fleet.core.tally import Tally
from fleet.core.targeting import canaries
from fleet.core.waves import plan

DEVICES, TURNS = 20_000, 3
WAVES = (0.1, 0.25, 0.5, 1.0)
OLD = ArtifactRef(digest="a" * 64, name="doors", version="1.0.0")
NEW = ArtifactRef(digest="b" * 64, name="doors", version="1.1.0")
SERVES_OLD, SERVES_NEW = AppState(serving=OLD), AppState(serving=NEW)
GAVE_UP = AppState(serving=OLD, state=State.FAILED)
MEASURED = Tally(inferences=1000, latency={bin_: 20 for bin_ in range(300, 350)})
COUNTED = Tally(inferences=1000)
SAMPLE = 32
"""Devices of a wave whose latencies are judged, as ``fleet.evidence`` has it."""


@dataclass
class Run:
    """One rollout of the simulated fleet, and what its looks took."""

    count: int
    waves: tuple[float, ...]
    looks_s: list[float] = field(default_factory=list)

    def deal(self) -> None:
        """Choose who goes when."""
        devices = [f"cam-{number:05}" for number in range(self.count)]
        self.first = set(canaries("doors-1", devices, 0.05))
        awake = [device for number, device in enumerate(devices) if number % 50]
        self.away = set(devices[::50])
        self.weak = set(devices[7::200])
        dealt = plan("doors-1", self.first, devices, self.waves, awake)
        self.part = {**dict.fromkeys(sorted(self.first), 0), **dealt.wave}
        self.rollout = Rollout(
            id="doors-1",
            app="doors",
            candidate=NEW,
            selector="all",
            created_ms=0,
            since_ms=0,
            beside=False,
            limits=Limits(max_failed_share=0.2),
            pace=Pace(waves=self.waves, soak_s=1, deadline_s=3),
            waves=dealt.shares,
        )

    def play(self) -> None:
        """Until it is done."""
        told = 0
        for second in range(1, 1000):
            begun = time.process_time()
            rollout, _ = self._look(told, second * 1000)
            self.looks_s.append(time.process_time() - begun)
            told = self._told()  # who obeys at once has done so by the next look
            self.rollout = rollout
            if rollout.stage is Stage.DONE:
                return
        raise AssertionError(f"never done: {self.rollout}")

    def _told(self) -> int:
        return self.rollout.wave if self.rollout.stage is Stage.ROLLING else 0

    def _look(self, obeyed: int, at_ms: int) -> tuple[Rollout, object]:
        """What ``fleet.rollouts`` does once a second, without its store."""
        rollout = self.rollout
        rolling = rollout.stage is Stage.ROLLING
        last = rollout.wave if rolling else 0
        places: dict[str, Place] = {}
        standing = [0, 0, 0, 0]
        for device, part in self.part.items():
            if part > last:
                continue
            app = self._app(device, part <= obeyed)
            where = places[device] = place(Goal.CANDIDATE, NEW, OLD, app, heard=True)
            if rollout.probation and part != last:
                continue
            away = where is Place.OPEN and device in self.away
            standing[3 if away else (Place.ARRIVED, Place.FAILED, Place.OPEN).index(where)] += 1
        there = Standing(*standing)
        trials = [
            Trial(device, MEASURED, MEASURED) if part == 0 else Trial(device, COUNTED, Tally())
            for device, part in self.part.items()
            if part <= last
        ]
        failed = list(places.values()).count(Place.FAILED)
        verdict = judge(rollout.limits, trials, devices=len(places), failed=failed, beside=False)
        if rolling and self.waves:
            own = [device for device, part in self.part.items() if part == last]
            trials = [Trial(device, MEASURED, MEASURED) for device in own[:SAMPLE]]
            trials += [Trial(device, COUNTED, Tally()) for device in own[SAMPLE:]]
            devices, gave_up = there.total, there.failed
            by_itself = judge(rollout.limits, trials, devices=devices, failed=gave_up, beside=False)
            if by_itself.outcome is not Outcome.SUCCESSFUL:
                verdict = by_itself
        event = look(rollout, there, verdict, at_ms)
        return (rollout, ()) if event is None else step(rollout, event)

    def _app(self, device: str, obeyed: bool) -> AppState | None:
        if device in self.away and self.part[device]:
            return None
        if not obeyed:
            return SERVES_OLD
        return GAVE_UP if device in self.weak else SERVES_NEW


def taken(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def played(count: int, waves: tuple[float, ...]) -> tuple[float, Run]:
    """One, with the time that dealing took."""
    run = Run(count, waves)
    dealing = taken(run.deal)
    run.play()
    return dealing, run


def main() -> None:
    """Print the ratios."""
    in_waves, at_once, tenth = [], [], []
    for _ in range(TURNS):
        in_waves.append(played(DEVICES, WAVES))
        at_once.append(played(DEVICES, ()))
        tenth.append(played(DEVICES // 10, WAVES))

    def best(found: list[tuple[float, Run]], of: Callable[[float, Run], float]) -> float:
        return min(of(dealing, run) for dealing, run in found)

    def dearest(_: float, run: Run) -> float:
        return max(run.looks_s)

    def mean(_: float, run: Run) -> float:
        return sum(run.looks_s) / len(run.looks_s)

    def dealing(seconds: float, _: Run) -> float:
        return seconds

    result = {
        "about": f"Deciding on a rollout to {DEVICES:,} devices in {len(WAVES)} waves, core alone.",
        "peer": "the same rollout with all others at once; in the last row, ten times a tenth",
        "ratios": {
            "dealing out, once": round(best(in_waves, dealing) / best(at_once, dealing), 3),
            "a look, the dearest": round(best(in_waves, dearest) / best(at_once, dearest), 3),
            "a look, the mean": round(best(in_waves, mean) / best(at_once, mean), 3),
            "a look, to ten of a tenth": round(
                best(in_waves, dearest) / (10 * best(tenth, dearest)), 3
            ),
            "of its second, the dearest look": round(best(in_waves, dearest), 3),
        },
        "limits": {"of its second, the dearest look": 0.5},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
