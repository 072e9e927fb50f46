"""``edge fleet enroll | remove | publish``: who belongs to the fleet, and what it may run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_sdk.broker.users import device_user
from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UsageError
from edge_sdk.files import check_writable, whole_file
from edge_sdk.spec.codec import encode
from edge_sdk.spec.enrolment import SUFFIX, Enrolment
from fleet.client import find_fleet
from fleet.words import ArtifactReport, EnrollRequest, RemovalReport


def add_to(commands: Any) -> Iterator[argparse.ArgumentParser]:
    """Add the commands."""
    enroll = commands.add_parser(
        "enroll",
        help="let a device in",
        description="Write the file that a device needs to belong to the fleet. It is a secret: "
        "carry it there, and delete it here. Enrolling again ends the old credentials.",
    )
    enroll.add_argument("device", metavar="DEVICE", help="its id: a-z, 0-9 and '-'")
    enroll.add_argument("-o", "--output", metavar="FILE", type=Path, help=f"DEVICE{SUFFIX}")
    enroll.add_argument(
        "--label", metavar="KEY=VALUE", action="append", default=[], help="site=berlin; repeatable"
    )
    enroll.set_defaults(act=run_enroll)
    yield enroll
    remove = commands.add_parser(
        "remove",
        help="let a device go",
        description="End a device's credentials and take it out of every rollout. What it serves "
        "it goes on serving; the trail keeps what it did. It may be enrolled anew.",
    )
    remove.add_argument("device", metavar="DEVICE", help="its id")
    remove.set_defaults(act=run_remove)
    yield remove
    publish = commands.add_parser(
        "publish",
        help="check an artifact and sign it into the fleet",
        description="Check every file of an artifact, store it, and put it on the signed list. "
        "No device runs it before a rollout.",
    )
    publish.add_argument("artifact", metavar="X.edge", type=Path)
    publish.set_defaults(act=run_publish)
    yield publish


def run_enroll(args: argparse.Namespace) -> Outcome:
    """Enrol a device and write its file, for its owner's eyes only."""
    device_user(args.device, "")  # whether such a device can be
    output: Path = args.output or Path(f"{args.device}{SUFFIX}")
    check_writable(output)  # the secrets are told once
    labels = dict(_label(text) for text in args.label)
    fleet = find_fleet(args.data, args.api, args.token_file)
    request = EnrollRequest(device=args.device, labels=labels)
    enrolment = fleet.post("/enroll", request, Enrolment)
    with whole_file(output, 0o600) as file:
        file.write(encode(enrolment))
    return Outcome(
        {"device": enrolment.device, "enrolment": str(output), "broker": enrolment.broker},
        f"{enrolment.device} is enrolled: {output} (secret; carry it to the device)",
    )


def run_remove(args: argparse.Namespace) -> Outcome:
    """Let a device go, and say what that meant."""
    device_user(args.device, "")  # whether such a device can be
    fleet = find_fleet(args.data, args.api, args.token_file)
    report = fleet.delete(f"/devices/{args.device}", RemovalReport)
    lines = [f"{report.device} is removed from the fleet."]
    if report.ended:
        lines.append(f"  broker    its credentials at {report.broker} have ended")
    else:
        lines.append(
            f"  broker    {report.broker} keeps its own list of users: take {report.device} off it;"
            "\n            until then it connects, and the fleet does not answer"
        )
    lines += [f"  {app:<8}  goes on serving {what}" for app, what in sorted(report.serves.items())]
    lines += [f"  rollout   {id_} goes on without it" for id_ in report.left]
    lines.append(f"  back      edge fleet enroll {report.device}   # begins anew")
    return Outcome(report, "\n".join(lines))


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} is no label.", "--label site=berlin")
    return key, value


def run_publish(args: argparse.Namespace) -> Outcome:
    """Publish an artifact."""
    from edge_sdk.artifact import SUFFIX as ARTIFACT

    if args.artifact.is_file() and args.artifact.suffix != ARTIFACT:
        raise UsageError(
            f"{args.artifact} is no artifact.",
            f"edge convert {args.artifact} -o {args.artifact.stem}-1.0.0{ARTIFACT}",
        )
    fleet = find_fleet(args.data, args.api, args.token_file)
    published = fleet.upload("/artifacts", args.artifact, ArtifactReport)
    return Outcome(published, f"{published.artifact} is published ({published.digest[:12]}…)")
