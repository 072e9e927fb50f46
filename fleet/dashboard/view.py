"""What the page shows, from reports to plain values for the templates. Pure."""

from __future__ import annotations

from typing import Any

from edge_sdk.spec.drift import Drift
from fleet.core.gate import Line, Outcome
from fleet.core.rollout import Stage
from fleet.words import (
    DeviceReport,
    DriftReport,
    Entry,
    ModelReport,
    RolloutReport,
    WaveReport,
    reasons,
)

MOST_DEVICES = 200
MOST_PLACES = 24
MOST_ROLLOUTS = 4

_TONES = {
    Stage.DONE: "good",
    Stage.PAUSED: "wait",
    Stage.ROLLING_BACK: "bad",
    Stage.ROLLED_BACK: "bad",
    Stage.ABORTED: "wait",
}
_OUTCOMES = {Outcome.SUCCESSFUL: "good", Outcome.FAILED: "bad", Outcome.INCONCLUSIVE: "wait"}
_STATES = {"committed": "good", "failed": "bad", "rolled_back": "bad"}
_PLACES = {"arrived": "good", "failed": "bad", "open": ""}
_DRIFT = {Drift.LEARNING: "faint", Drift.STEADY: "good", Drift.DRIFTING: "bad"}
_EVENTS = {
    "rollout done": "good",
    "rollout rolled_back": "bad",
    "rollout rolling_back": "bad",
    "rollout paused": "wait",
    "drift": "bad",
    "failed": "bad",
    "rolled_back": "bad",
    "malformed": "bad",
    "two agents": "bad",
    "removed": "wait",
    "committed": "good",
}

Plain = dict[str, Any]


def rollout_cards(reports: list[RolloutReport]) -> list[Plain]:
    """The newest rollouts: how far each is, and on what evidence."""
    return [_card(report) for report in reports[:MOST_ROLLOUTS]]


def _card(report: RolloutReport) -> Plain:
    rollout = report.rollout
    part = dict.fromkeys(report.canaries, "canary")
    if rollout.pace.waves:
        part |= {d: f"wave {wave.wave}" for wave in report.waves for d in wave.devices}
    shown = report.places or dict.fromkeys(report.canaries, "open")
    # Those of the wave that goes first: of thousands, they are the ones to look at.
    going = {d for wave in report.waves if wave.state == "goes" for d in wave.devices}
    places = [
        {
            "device": device,
            "part": part.get(device, ""),
            "tone": _PLACES[place],
            "problems": report.problems.get(device, ()),
        }
        for device, place in sorted(shown.items(), key=lambda item: item[0] not in going)
    ]
    return {
        "id": rollout.id,
        "artifact": f"{rollout.candidate.name} {rollout.candidate.version}",
        "app": rollout.app,
        "selector": rollout.selector,
        "stage": _stage(rollout.stage),
        "tone": _TONES.get(rollout.stage, "calm"),
        "reason": "" if rollout.stage is Stage.DONE else rollout.reason,
        "steps": _steps(report),
        "lines": [_line(line) for line in report.evidence],
        "places": places[:MOST_PLACES],
        "more": max(0, len(places) - MOST_PLACES),
    }


def _steps(report: RolloutReport) -> list[Plain]:
    """The way forward, and where it was left."""
    rollout = report.rollout
    way = [(Stage.SHADOWING, 1, "shadow")] if rollout.beside else []
    way += [(Stage.CANARY, 1, "canary")]
    way += [(Stage.ROLLING, wave.wave, _wave(wave)) for wave in report.waves]
    way += [(Stage.DONE, len(report.waves), "done")]
    at = (rollout.came_from or rollout.stage, rollout.wave)
    reached = next((i for i, (*step, _) in enumerate(way) if tuple(step) == at), -1)
    tone = _TONES.get(rollout.stage, "")
    steps = [
        {"name": name, "tone": "past" if i < reached else f"now {tone}" if i == reached else ""}
        for i, (*_, name) in enumerate(way)
    ]
    if rollout.came_from is not None and reached >= 0:
        steps[reached]["name"] += f": {_stage(rollout.stage)}"
    return steps


def _wave(wave: WaveReport) -> str:
    """``25 % · 3 of 5``, the latter while it goes; the last is ``all``."""
    name = "all" if wave.share == 1 else f"{100 * wave.share:.4g} %"
    if wave.state != "goes":
        return name
    return f"{name} · {wave.places.get('arrived', 0)} of {len(wave.devices)}"


def _stage(stage: Stage) -> str:
    return stage.value.replace("_", " ")


def _line(line: Line) -> Plain:
    """A bar on which the limit stands at two thirds, or how much has been seen of what must be."""
    tone = _OUTCOMES[line.outcome]
    name = line.measure + (f" on {line.device}" if line.device else "")
    if line.value is None or line.samples < line.wanted:
        width = 100 * line.samples / max(line.wanted, 1)
        return {
            "name": name,
            "said": f"{line.samples:,} of {line.wanted:,} seen",
            "tone": "wait",
            "width": round(width, 1),
            "mark": "",
        }
    share = line.value / line.limit if line.limit else (2.0 if line.value else 0.0)
    return {
        "name": name,
        "said": f"{line.amount(line.value)} of at most {line.amount(line.limit)}",
        "tone": tone,
        "width": round(min(100.0, 66.7 * share), 1),
        "mark": "66.7",
    }


def device_rows(reports: list[DeviceReport]) -> list[Plain]:
    """Devices, each with its applications."""
    return [
        {
            "name": report.device,
            "online": report.online,
            "doubled": report.doubled,
            "hint": report.hint,
            "machine": _machine(report),
            "seen_ms": report.seen_ms,
            "inferences": report.inferences,
            "refused": report.refused,
            "unrecorded": report.unrecorded,
            "apps": [
                {
                    "name": name,
                    "serving": app.serving,
                    "shadow": app.shadow,
                    "target": app.target,
                    "state": app.state.replace("_", " "),
                    "tone": _STATES.get(app.state, "calm"),
                    "reason": app.reason,
                    "problems": app.problems,
                    "limits": app.limits,
                }
                for name, app in report.apps.items()
            ]
            or [{"name": "", "serving": "", "state": "", "tone": ""}],
        }
        for report in reports[:MOST_DEVICES]
    ]


def _machine(report: DeviceReport) -> str:
    labels = " ".join(f"{key}={value}" for key, value in sorted(report.labels.items()))
    machine = report.profile.name or report.profile.machine if report.profile else ""
    return " · ".join(part for part in (machine, labels) if part)


def latency_rows(reports: list[ModelReport]) -> list[Plain]:
    """Models with their bars, on one scale for each application."""
    widest: dict[str, float] = {}
    for report in reports:
        widest[report.app] = max(widest.get(report.app, 0.0), report.p99_us or 0.0)
    return [
        {
            "app": report.app,
            "artifact": report.artifact,
            "role": "serves" if report.role == "serve" else "in shadow",
            "devices": f"{len(report.devices)} device" + ("s" if len(report.devices) != 1 else ""),
            "p50": _milliseconds(report.p50_us),
            "p99": _milliseconds(report.p99_us),
            "narrow": _width(report.p50_us, widest[report.app]),
            "wide": _width(report.p99_us, widest[report.app]),
            "inferences": report.inferences,
            "errors": report.errors,
            "refused": sum(report.refused.values()),
            "why": reasons(report.refused),
            "unrecorded": report.unrecorded,
        }
        for report in reports
    ]


def _milliseconds(us: float | None) -> str:
    return "" if us is None else f"{us / 1000:.2f} ms" if us < 100_000 else f"{us / 1000:.0f} ms"


def _width(us: float | None, widest: float) -> float:
    return round(100 * (us or 0.0) / widest, 1) if widest else 0.0


def drift_rows(reports: list[DriftReport]) -> list[Plain]:
    """Verdicts with their sparklines, those that drift first."""
    order = {Drift.DRIFTING: 0, Drift.STEADY: 1, Drift.LEARNING: 2}
    rows = []
    for report in sorted(reports, key=lambda r: order[r.verdict.verdict]):
        verdict = report.verdict
        first = verdict.evidence[0] if verdict.evidence else None
        said = f"{verdict.windows} of {verdict.needed} windows seen"
        if first is not None:
            said = f"{first.feature}: {first.distance:.2f}, usually {first.usual:.2f}"
        rows.append(
            {
                "device": report.device,
                "app": report.app,
                "artifact": report.artifact,
                "verdict": verdict.verdict.value,
                "tone": _DRIFT[verdict.verdict],
                "points": _points(report.trend),
                "newest": f"{report.trend[-1]:.2f}" if report.trend else "",
                "said": said,
                "more": "" if verdict.p is None else f"p = {verdict.p:.3f}",
            }
        )
    return rows


def _points(trend: tuple[float, ...]) -> str:
    """A polyline in a box of 100 by 20; distances are at most 1, and rarely above a half."""
    if len(trend) < 2:
        return ""
    top = max(0.5, *trend)
    step = 100 / (len(trend) - 1)
    return " ".join(f"{i * step:.1f},{19 - 18 * value / top:.1f}" for i, value in enumerate(trend))


def audit_rows(entries: list[Entry]) -> list[Plain]:
    """What happened."""
    return [
        {
            "at_ms": entry.at_ms,
            "who": entry.who,
            "what": entry.what.replace("_", " "),
            "tone": _EVENTS.get(entry.what, ""),
            "subject": entry.subject,
            "detail": entry.detail,
        }
        for entry in entries
    ]
