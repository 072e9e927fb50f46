"""Reports: what the fleet can say of itself, read from the store."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection

from edge_sdk.spec.deployment import AppState, ArtifactRef
from fleet.core.rollout import Stage
from fleet.core.situation import LONGEST_PROBLEM, problems_of
from fleet.core.tally import Tally, tally
from fleet.evidence import Situation
from fleet.stores import artifacts, benches, devices, telemetry
from fleet.stores.devices import Device
from fleet.words import (
    AppReport,
    ArtifactReport,
    BenchEntry,
    DeviceReport,
    ModelReport,
    RolloutReport,
    WaveReport,
    name_of,
    twins_hint,
)

RECENT_MS = 15 * 60 * 1000
RECENT_WINDOWS = 60


def report_device(
    connection: Connection, device: Device, now_ms: int, away_s: float
) -> DeviceReport:
    """One device, as it is known now."""
    totals = telemetry.totals(connection, device.device)
    told = device.goal.apps if device.goal else {}
    said = device.reported.apps
    return DeviceReport(
        device=device.device,
        online=device.seen_ms is not None and now_ms - device.seen_ms <= away_s * 1000,
        enrolled_ms=device.enrolled_ms,
        seen_ms=device.seen_ms,
        told=device.goal.counter if device.goal else 0,
        heard=device.reported.counter,
        windows=totals.windows,
        inferences=totals.inferences,
        refused=totals.refused,
        unrecorded=totals.unrecorded,
        labels=device.labels,
        profile=device.profile,
        doubled=(doubled := device.voices.twins(now_ms)),
        hint=twins_hint(device.device) if doubled else "",
        apps={
            name: _app(said.get(name), told[name].serve if name in told else None)
            for name in sorted({*told, *said})
        },
    )


def _app(said: AppState | None, wanted: ArtifactRef | None) -> AppReport:
    if said is None:
        return AppReport(state="", wanted=name_of(wanted))
    return AppReport(
        state=said.state.value,
        wanted=name_of(wanted),
        serving=name_of(said.serving),
        shadow=name_of(said.shadow),
        target=name_of(said.target),
        attempt=said.attempt,
        reason=said.reason,
        problems=problems_of(said),
        limits=said.limits[:LONGEST_PROBLEM],
    )


def report_models(connection: Connection, now_ms: int, device: str = "") -> list[ModelReport]:
    """What has run lately, and how fast: on one device, or merged over all."""
    names = {a.ref.digest: name_of(a.ref) for a in artifacts.all_of(connection)}
    since_ms = now_ms - RECENT_MS
    sums: dict[tuple[str, str, str], tuple[Tally, list[str]]] = {}
    for model in telemetry.models(connection, since_ms, device):
        windows = telemetry.of_model(
            connection,
            model.device,
            model.app,
            model.artifact,
            model.role,
            since_ms=since_ms,
            most=RECENT_WINDOWS,
        )
        key = (model.app, model.artifact, model.role)
        total, on = sums.get(key, (Tally(), []))
        sums[key] = (total + tally(windows), [*on, model.device])
    reports = [
        ModelReport(
            app=app,
            artifact=names.get(digest, digest[:12]),
            digest=digest,
            role=role,
            devices=tuple(on),
            inferences=total.inferences,
            errors=total.errors,
            crashes=total.crashes,
            refused=dict(total.refused),
            unrecorded=total.unrecorded,
            p50_us=total.percentile(0.5),
            p99_us=total.percentile(0.99),
        )
        for (app, digest, role), (total, on) in sums.items()
    ]
    return sorted(reports, key=lambda report: (report.app, report.artifact, report.role))


def report_benches(connection: Connection, device: str = "") -> list[BenchEntry]:
    """Measurements of one device, or of all, the newest first."""
    return [
        BenchEntry(
            device=bench.device,
            model=bench.model,
            received_ms=bench.received_ms,
            report=bench.report,
        )
        for bench in benches.all_of(connection, device)
    ]


def report_rollout(situation: Situation) -> RolloutReport:
    """A rollout, its devices and its evidence."""
    return RolloutReport(
        rollout=situation.rollout,
        outcome=situation.verdict.outcome.value,
        evidence=situation.verdict.after(situation.rollout.verdict).lines,
        canaries=tuple(m.device for m in situation.members if m.canary),
        devices=tuple(m.device for m in situation.members),
        places={device: place.value for device, place in situation.places.items()},
        problems=dict(situation.problems),
        waves=_waves(situation),
    )


def _waves(situation: Situation) -> tuple[WaveReport, ...]:
    rollout, places = situation.rollout, situation.places
    here = rollout.came_from or rollout.stage
    inside: dict[int, list[str]] = {}
    for member in situation.members:
        inside.setdefault(member.wave, []).append(member.device)

    def state(number: int) -> str:
        if here is Stage.DONE or (here is Stage.ROLLING and number < rollout.wave):
            return "passed"
        return "goes" if here is Stage.ROLLING and number == rollout.wave else "waits"

    return tuple(
        WaveReport(
            wave=number,
            share=share,
            state=state(number),
            devices=tuple(inside.get(number, ())),
            places=Counter(places[d].value for d in inside.get(number, ()) if d in places),
        )
        for number, share in enumerate(rollout.waves, 1)
    )


def report_artifacts(connection: Connection) -> list[ArtifactReport]:
    """What is published, newest first, and where it serves."""
    serving: dict[str, set[str]] = {}
    for device in devices.all_of(connection):
        for app in device.reported.apps.values():
            if app.serving is not None:
                serving.setdefault(app.serving.digest, set()).add(device.device)
    return [
        ArtifactReport(
            artifact=name_of(published.ref),
            digest=published.ref.digest,
            published_ms=published.published_ms,
            running_on=tuple(sorted(serving.get(published.ref.digest, ()))),
        )
        for published in artifacts.all_of(connection)
    ]
