"""``edge fleet devices | artifacts | models | audit``: what there is, and what happened."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UsageError
from edge_sdk.spec.drift import Drift
from edge_sdk.text import nearest, printable, table
from fleet.client import find_fleet
from fleet.words import (
    ArtifactReport,
    DeviceReport,
    DriftReport,
    Entry,
    FleetReport,
    ModelReport,
    reasons,
    twins_hint,
)


def add_to(commands: Any) -> Iterator[argparse.ArgumentParser]:
    """Add the commands."""
    for name, text, act in (
        ("status", "the fleet itself", run_status),
        ("devices", "all devices and what they run", run_devices),
        ("artifacts", "what is published", run_artifacts),
        ("models", "latency by application and version", run_models),
    ):
        parser = commands.add_parser(name, help=text)
        parser.set_defaults(act=act)
        if act is run_models:
            parser.add_argument("--device", metavar="DEVICE", default="", help="on this one alone")
        yield parser
    drift = commands.add_parser(
        "drift",
        help="whether inputs or answers are not what they were; 1 if so",
        description="The verdict on each model on each device: learning, steady or drifting.",
    )
    drift.add_argument("artifact", metavar="NAME[@VERSION]", nargs="?", help="of this one alone")
    drift.set_defaults(act=run_drift)
    yield drift
    audit = commands.add_parser("audit", help="who did what, and when")
    audit.add_argument("--most", type=int, default=50, metavar="N", help="newest entries (50)")
    audit.add_argument("--subject", default="", metavar="WHAT", help="a device, rollout, artifact")
    audit.set_defaults(act=run_audit)
    yield audit


def run_status(args: argparse.Namespace) -> Outcome:
    """The fleet itself."""
    report = find_fleet(args.data, args.api, args.token_file).get("/fleet", FleetReport)
    broker = "connected" if report.broker_connected else f"away: {report.broker_problem}"
    came = ", ".join(f"{count} {what}" for what, count in sorted(report.messages.items()))
    troubled = ""
    if report.troubled:
        troubled = f", {report.troubled} with something in the way (edge fleet devices)"
    return Outcome(
        report,
        f"{report.name} (edgeloop {report.version}): {report.online} of {report.devices} devices "
        f"online{troubled}\n  broker {report.broker} {broker}\n  messages {came or 'none'}"
        + "".join(
            f"\n  two agents speak as {device}. {twins_hint(device)}" for device in report.doubled
        ),
    )


def run_devices(args: argparse.Namespace) -> Outcome:
    """All devices."""
    fleet = find_fleet(args.data, args.api, args.token_file)
    devices = fleet.get("/devices", list[DeviceReport])
    now_ms = time.time_ns() // 1_000_000
    rows = []
    for device in devices:
        seen = "never" if device.seen_ms is None else f"{_ago(now_ms - device.seen_ms)} ago"
        state = "two agents" if device.doubled else "online" if device.online else "away"
        where = (device.device, state, seen)
        counts = _counts(device)
        for app, said in device.apps.items() or [("", None)]:
            if said is None:
                rows.append((*where, "", "", "", "", ""))
                continue
            beside = f"(shadow {said.shadow})" if said.shadow else ""
            rows.append(
                (
                    *where,
                    app,
                    said.serving or "-",
                    f"{said.state} {beside}".strip(),
                    counts,
                    printable("; ".join(filter(None, (said.reason, *said.problems, said.limits)))),
                )
            )
            where, counts = ("", "", ""), ""
    header = ("device", "", "seen", "app", "serves", "state", "inputs", "why")
    text = table(header, rows) if rows else "No device is enrolled yet: edge fleet enroll DEVICE"
    text += "".join(
        f"\n\nTwo agents speak as {device.device}. {device.hint}"
        for device in devices
        if device.doubled
    )
    return Outcome({"devices": devices}, text)


def _counts(device: DeviceReport) -> str:
    """``4,200 answered, 12 refused``."""
    counts = {
        "answered": device.inferences,
        "refused": device.refused,
        "not recorded": device.unrecorded,
    }
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def run_artifacts(args: argparse.Namespace) -> Outcome:
    """What is published."""
    fleet = find_fleet(args.data, args.api, args.token_file)
    artifacts = fleet.get("/artifacts", list[ArtifactReport])
    rows = [
        (a.artifact, a.digest[:12], when(a.published_ms), ", ".join(a.running_on))
        for a in artifacts
    ]
    text = table(("artifact", "digest", "published", "serves on"), rows)
    return Outcome(
        {"artifacts": artifacts},
        text if rows else "Nothing is published yet: edge fleet publish X.edge",
    )


def run_models(args: argparse.Namespace) -> Outcome:
    """Latency by application and version."""
    fleet = find_fleet(args.data, args.api, args.token_file)
    where = f"?device={quote(args.device, safe='')}" if args.device else ""
    models = fleet.get(f"/models{where}", list[ModelReport])
    rows = [
        (
            m.app,
            m.artifact,
            m.role,
            str(len(m.devices)),
            str(m.inferences),
            str(m.errors),
            str(sum(m.refused.values())),
            str(m.unrecorded),
            _ms(m.p50_us),
            _ms(m.p99_us),
        )
        for m in models
    ]
    header = (
        *("app", "artifact", "role", "devices"),
        *("inferences", "errors", "refused", "unrecorded", "p50 ms", "p99 ms"),
    )
    text = table(header, rows, "<<<>>>>>>>") if rows else "Nothing has run in the last 15 minutes."
    for model in models:
        if model.refused:
            text += f"\n{model.artifact}, {model.role}: its limits refused {reasons(model.refused)}"
    return Outcome({"models": models}, text)


def run_drift(args: argparse.Namespace) -> Outcome:
    """The verdicts; a negative one if anything drifts."""
    wanted: str | None = args.artifact
    fleet = find_fleet(args.data, args.api, args.token_file)
    known = {a.artifact for a in fleet.get("/artifacts", list[ArtifactReport])}
    names = known | {name.partition("@")[0] for name in known}
    if wanted is not None and wanted not in names:
        raise UsageError(f"No artifact {wanted!r} is published.", nearest(wanted, sorted(names)))
    reports = [
        report
        for report in fleet.get("/drift", list[DriftReport])
        if wanted is None or wanted in (report.artifact, report.artifact.partition("@")[0])
    ]
    rows = []
    for report in reports:
        verdict = report.verdict
        first = verdict.evidence[0] if verdict.evidence else None
        rows.append(
            (
                report.app,
                report.artifact,
                report.device,
                verdict.verdict.value,
                f"{verdict.windows}/{verdict.needed}",
                "" if verdict.p is None else f"{verdict.p:.3f}",
                "" if first is None else f"{first.feature} (effect {first.effect:.2f})",
            )
        )
    header = ("app", "artifact", "device", "verdict", "windows", "p", "strangest feature")
    drifting = any(report.verdict.verdict is Drift.DRIFTING for report in reports)
    return Outcome(
        {"drifting": drifting, "models": reports},
        table(header, rows)
        if rows
        else "Nothing with a baseline has run lately: convert with --calibrate or --evaluate DATA.",
        exit_code=1 if drifting else 0,
    )


def run_audit(args: argparse.Namespace) -> Outcome:
    """Who did what."""
    fleet = find_fleet(args.data, args.api, args.token_file)
    entries = fleet.get(f"/audit?most={args.most}&subject={args.subject}", list[Entry])
    rows = [(when(e.at_ms), e.who, e.what, e.subject, printable(e.detail)) for e in entries]
    return Outcome({"entries": entries}, table(("when", "who", "what", "subject", "detail"), rows))


def when(at_ms: int) -> str:
    """A time for people, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _ago(ms: int) -> str:
    seconds = max(0, ms // 1000)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _ms(us: float | None) -> str:
    return "-" if us is None else f"{us / 1000:.2f}"
