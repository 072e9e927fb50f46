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

from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UsageError
from edge_sdk.text import bytes_text, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_sdk.spec import Placement
    from edge_sdk.spec.bench import BenchReport, Measurement

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
        "--device",
        type=_name,
        metavar="NAME",
        help="what this device is called in the report (its board)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE.json", help="write the report there as well"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Measure and tell."""
    from edge_sdk.files import check_writable, whole_file
    from edge_sdk.spec import encode

    if args.output:
        check_writable(args.output)
    report = _automatic(args) if args.delegate == [("auto",)] else _planned(args)
    if args.output:
        with whole_file(args.output) as file:
            file.write(encode(report))
    return Outcome(report, describe(report))


def _planned(args: argparse.Namespace) -> BenchReport:
    """Every configuration that was asked for, or all."""
    from edge_sdk.backends.delegates import asks_for_auto
    from edge_sdk.runtime.bench_report import bench

    lists = args.delegate or [()]
    asks_for_auto([name for names in lists for name in names])
    return bench(
        args.model,
        seconds=args.seconds,
        variants=args.variant,
        backends=args.backend,
        delegates=lists,
        threads=args.threads,
        shapes=dict(args.input),
        device=args.device,
        progress=_tell,
    )


def _automatic(args: argparse.Namespace) -> BenchReport:
    """The ways that ``auto`` looks at."""
    from edge_sdk.files import cache_folder
    from edge_sdk.runtime.bench_report import bench_auto

    return bench_auto(
        args.model,
        cache_folder() / "runtime",
        seconds=args.seconds,
        variant=_only("--variant", args.variant),
        backend=_only("--backend", args.backend),
        threads=_only("--threads", args.threads),
        shapes=dict(args.input),
        device=args.device,
        progress=_tell,
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
    header: tuple[str, ...] = (
        *("configuration", "runs on", "load", "first", "p50", "p90", "p99", "calls/s", "memory"),
    )
    if report.conditions.energy_sensor:
        header += ("energy", "power")
    rows = [_row(each)[: len(header)] for each in report.measurements]
    lines = [
        f"{report.model} on {here.name} ({here.cpu}, {here.cores} cores)",
        f"fed with random {', '.join(map(str, report.inputs))}",
        "",
        table(header, rows, "<<".ljust(len(header), ">")),
        "",
        "Times in ms. A percentile is the smallest measured time that so many calls do not exceed.",
        "Memory is what this one process grew by, from before loading until after the first call.",
        *_conditions(report),
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


def _conditions(report: BenchReport) -> list[str]:
    """What the machine was like, as far as it says."""
    seen = report.conditions
    lines = []
    if seen.energy_sensor:
        lines.append(
            f"Energy is mJ a call, power W, by {seen.energy_sensor}: all that this sensor sees."
        )
    if seen.energy_hint:
        lines.append(f"There is a sensor of energy that you may not read: {seen.energy_hint}")
    warmth = "" if seen.after_c is None else f"{seen.after_c:.0f} °C at the end"
    if seen.before_c is not None and warmth:
        warmth = f"{seen.before_c:.0f} °C at the beginning, {warmth}"
    governor = f"frequency chosen by {seen.governor}" if seen.governor else ""
    if warmth or governor:
        lines.append(f"The processor: {', '.join(filter(None, (warmth, governor)))}.")
    if seen.throttling:
        held = [str(each.configuration) for each in report.measurements if each.throttled]
        lines.append(
            f"THROTTLED: {'; '.join(seen.throttling)}. These times are of a machine that is held "
            f"back ({', '.join(held)}): cool it, or mend its supply, and measure again."
        )
    return lines


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
        "" if measured.energy_mj is None else _digits(measured.energy_mj),
        "" if measured.power_w is None else _digits(measured.power_w),
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


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a device has a name")
    return text.strip()


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
