"""``edge bench``: what a model costs on this machine, in each way that it can be run.

Without options it measures every variant of the artifact on every engine here that reads it. Each
option that names something narrows that: ``--variant``, ``--backend`` and ``--threads`` take lists,
and ``--delegate`` may be repeated, once for each list of preferences to compare.

``--delegate auto`` measures what ``edge_sdk.load(…, delegates="auto")`` would, on the one variant
that it would take, says which is fastest of those that answer rightly, and keeps that for later
loads.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.text import bytes_text, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_sdk.runtime.bench import BenchReport, Measurement
    from edge_sdk.spec import Placement

SUMMARY = "measure a model on this machine, configuration beside configuration"
DEFAULT_SECONDS = 5.0
T = TypeVar("T")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge bench``."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="X.edge, X.tflite or X.onnx")
    parser.add_argument("--variant", type=_words, metavar="ID,…", help="only these variants")
    parser.add_argument("--backend", type=_words, metavar="NAME,…", help="only these engines")
    parser.add_argument(
        "--delegate",
        type=_words,
        action="append",
        metavar="NAME,…",
        help="delegates in order of preference; repeat it to compare such lists; auto for all "
        "ways there are, of which the fastest is kept for later loads",
    )
    parser.add_argument("--threads", type=_counts, metavar="N,…", help="numbers of threads")
    parser.add_argument(
        "--input",
        type=_shape,
        action="append",
        default=[],
        metavar="NAME:SHAPE",
        help="shape of an input whose size is open, as image:1x224x224x3 (open lengths are 1)",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=DEFAULT_SECONDS,
        metavar="S",
        help=f"time for all measurements together (default {DEFAULT_SECONDS:g})",
    )
    parser.add_argument(
        "--device", metavar="NAME", help="what this device is called in the report (its board)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE.json", help="write the report there as well"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Measure and tell."""
    from edge_sdk.files import check_writable, whole_file
    from edge_sdk.runtime.machine import profile
    from edge_sdk.spec import encode

    if args.output:
        check_writable(args.output)
    report = _automatic(args) if args.delegate == [("auto",)] else _planned(args)
    here = profile()
    if args.device:
        here = msgspec.structs.replace(here, name=args.device)
    report = msgspec.structs.replace(report, profile=here)
    if args.output:
        with whole_file(args.output) as file:
            file.write(encode(report))
    return Outcome(report, describe(report))


def _planned(args: argparse.Namespace) -> BenchReport:
    """Every configuration that was asked for, or all."""
    from edge_sdk.backends.delegates import asks_for_auto
    from edge_sdk.runtime.bench import BenchReport, measure
    from edge_sdk.runtime.configurations import plan

    lists = args.delegate or [()]
    asks_for_auto([name for names in lists for name in names])
    configurations, skipped = plan(
        args.model,
        variants=args.variant,
        backends=args.backend,
        delegates=lists,
        threads=args.threads,
    )
    measurements, inputs = measure(
        args.model,
        configurations,
        seconds=args.seconds,
        shapes=dict(args.input),
        progress=_tell,
    )
    return BenchReport(
        model=str(args.model),
        inputs=inputs,
        seconds=args.seconds,
        measurements=measurements,
        skipped=skipped,
    )


def _automatic(args: argparse.Namespace) -> BenchReport:
    """The ways that ``auto`` looks at."""
    from edge_sdk.files import cache_folder
    from edge_sdk.runtime.auto import Limits, Model, candidates, keep, race
    from edge_sdk.runtime.bench import BenchReport

    variant, backend, threads = (
        _only(flag, values)
        for flag, values in (
            ("--variant", args.variant),
            ("--backend", args.backend),
            ("--threads", args.threads),
        )
    )
    model = Model(args.model, variant)
    limits = Limits(backend=backend, threads=threads, shapes=dict(args.input))
    measurements, skipped, inputs = race(
        model,
        candidates(model, backend, threads),
        seconds=args.seconds,
        shapes=limits.shapes,
        progress=_tell,
    )
    if not measurements:
        raise UnavailableError(
            f"Nothing here runs {args.model} rightly: {skipped[0].variant}: {skipped[0].reason}.",
            "edge doctor",
        )
    fastest = keep(model, cache_folder() / "runtime", measurements, limits)
    return BenchReport(
        model=str(args.model),
        inputs=inputs,
        seconds=args.seconds,
        measurements=measurements,
        skipped=skipped,
        fastest=fastest,
    )


def _only(flag: str, values: tuple[T, ...] | None) -> T | None:
    if values is not None and len(values) > 1:
        raise UsageError(
            f"{flag} names {len(values)} things, of which auto can keep to one.",
            f"Give one, or leave out {flag}.",
        )
    return values[0] if values else None


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def describe(report: BenchReport) -> str:
    """The report for a person."""
    here = report.profile
    assert here is not None, "a report is described when it is finished"
    header = ("configuration", "runs on", "load", "first", "p50", "p90", "p99", "calls/s", "memory")
    lines = [
        f"{report.model} on {here.name} ({here.cpu}, {here.cores} cores)",
        f"fed with random {', '.join(map(str, report.inputs))}",
        "",
        table(header, [_row(each) for each in report.measurements], "<<>>>>>>>"),
        "",
        "Times in ms. A percentile is the smallest measured time that so many calls do not exceed.",
        "Memory is what this one process grew by, from before loading until after the first call.",
    ]
    lines += dict.fromkeys(
        f"{attempt.delegate} refused: {attempt.reason}"
        for each in report.measurements
        for attempt in each.placement.refused
    )
    lines += [
        f"{each.configuration}: {each.placement.fallback}{_cost(each, report.measurements)}"
        for each in report.measurements
        if each.placement.fallback
    ]
    lines += [f"{each.variant} was not measured: {each.reason}" for each in report.skipped]
    if report.fastest is not None:
        lines.append(f"auto takes {report.fastest}, and will without measuring again")
    return "\n".join(lines)


def _cost(measured: Measurement, all_of_them: Sequence[Measurement]) -> str:
    """What a fallback costs in time, next to the same build as it was run otherwise."""
    here = measured.configuration
    peers = [
        each
        for each in all_of_them
        if each is not measured
        and (each.configuration.variant, each.configuration.threads) == (here.variant, here.threads)
        and each.configuration.backend == here.backend
    ]
    if not peers:
        return ""
    peer = min(peers, key=lambda each: each.timings.p50_ms)
    ratio = measured.timings.p50_ms / peer.timings.p50_ms
    return f"; its p50 is {_digits(ratio)} times that of {peer.configuration}"


def _row(measured: Measurement) -> tuple[str, ...]:
    timings = measured.timings
    times = (measured.load_ms, measured.first_ms, timings.p50_ms, timings.p90_ms, timings.p99_ms)
    return (
        str(measured.configuration),
        _took(measured.placement),
        *(_digits(time) for time in times),
        _digits(timings.per_second),
        bytes_text(max(measured.memory_growth_bytes, 0)),
    )


def _took(placement: Placement) -> str:
    """Which delegate runs how many of the model's operations."""
    return ", ".join(
        each.delegate if each.operations is None else f"{each.delegate} {each.operations} ops"
        for each in placement.attempts
        if each.active
    )


def _digits(value: float) -> str:
    """Three digits or more: ``0.0123``, ``1.23``, ``12.3``, ``1234``."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names, as one,two")
    return words


def _counts(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[1-9]\d{0,3}(,[1-9]\d{0,3})*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers above 0, as 1,2,4")
    return tuple(int(word) for word in text.split(","))


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, shape = text.rpartition(":")
    if not name or not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", shape):
        raise argparse.ArgumentTypeError(f"{text!r} is not a NAME:SHAPE, as image:1x224x224x3")
    return name, tuple(int(length) for length in shape.split("x"))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
