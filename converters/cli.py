"""``edge convert``: a model in, a proven artifact out, or the number that fell short."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec import ConversionReport, Search, VariantReport
from edge_sdk.text import bytes_text, printable, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converters.conversion import Conversion

NEEDED = (3, 11)
"""The Python that the converters are written for; devices run the rest on older ones."""
SUMMARY = "convert a model, prove every variant against the original, and pack an artifact"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge convert``."""
    add = parser.add_argument
    add(
        "source",
        metavar="SOURCE",
        help=".keras, .h5, SavedModel folder, .pt2, TorchScript, .tflite, .onnx, or "
        "module:function that returns a model",
    )
    add("-o", "--output", required=True, type=Path, metavar="OUT.edge")
    add("--name", help="the artifact's name; default: from OUT.edge")
    add("--version", default="1.0.0", metavar="V", help="its version (default: %(default)s)")
    add("--description", default="", metavar="TEXT", help="a line about it")
    add("--formats", default="", metavar="F,F", help="tflite, coreml, onnx (default: tflite)")
    add(
        "--recipe",
        default="",
        metavar="R,R",
        help="fp32, fp16, int16x8, mixed, int8, int8-dynamic, int8-weights, int4-weights, "
        "palette4; each is made in every format that has it (default: fp32,fp16, and int8 with "
        "--calibrate)",
    )
    add("--calibrate", metavar="DATA", help="real inputs to choose quantization ranges from")
    add(
        "--calibration",
        default="minmax",
        metavar="HOW",
        help="how ranges are chosen: minmax, percentile, mse, entropy (default: %(default)s)",
    )
    add("--evaluate", metavar="DATA", help="real inputs, labelled if possible, to be judged on")
    add("--preprocess", type=Path, metavar="SPEC.toml", help="how pictures become inputs, and more")
    add("--labels", type=Path, metavar="FILE", help="class names, one a line")
    add(
        "--guard",
        type=Path,
        metavar="LIMITS.toml",
        help="what an input must keep wherever the model runs (ranges, brightness, sharpness, "
        "size, rate)",
    )
    add(
        "--input",
        action="append",
        default=[],
        metavar="NAME:SHAPE",
        help="fix an open axis, or say a shape that PyTorch does not: image:1x3x224x224",
    )
    add(
        "--budget",
        metavar="LIMITS",
        help="keep the smallest variant within limits: "
        "accuracy_drop<=0.01,size<=1MB,latency<=5ms[@BENCH.json]; tries every recipe unless "
        "--recipe names some",
    )
    add("--golden", metavar="DATA|none", help="inputs to ship for self-checks, or none at all")
    add("--metadata", action="store_true", help="add TFLite metadata to a .tflite that is wrapped")
    add(
        "--as-declared",
        action="store_true",
        help="go on even where the original answers better when it is fed otherwise",
    )
    add("--trust-code", action="store_true", help="allow the source to run Python code of its own")
    add("--no-latency", action="store_true", help="do not measure how long a call takes here")
    add("--no-cache", action="store_true", help="make everything anew, and keep nothing of it")
    parser.epilog = (
        "DATA is a folder of class folders of pictures, an .npz (x in the model's own layout, y\n"
        "the classes), or module:function. A .tflite or .onnx is wrapped, unless --formats\n"
        "or --recipe asks for more; .onnx to TFLite needs: edge toolchain install onnx2tf"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Convert, and tell what came of it."""
    check_python("convert")
    from converters.conversion import convert
    from converters.progress import progress
    from converters.workshop import tidied
    from edge_sdk.guard import read_limits
    from edge_sdk.processing import read_labels, read_processing

    preprocess, postprocess = read_processing(args.preprocess) if args.preprocess else (None, None)
    with tidied(), progress(sys.stderr) as on_step:
        conversion = convert(
            args.source,
            args.output,
            name=args.name,
            version=args.version,
            formats=words(args.formats),
            recipes=words(args.recipe),
            calibrate=args.calibrate,
            calibration=args.calibration,
            evaluate=args.evaluate,
            preprocess=preprocess,
            postprocess=postprocess,
            labels=read_labels(args.labels) if args.labels else (),
            guard=read_limits(args.guard) if args.guard else None,
            shapes=dict(shape_option(text) for text in args.input),
            golden=args.golden,
            budget=args.budget,
            description=args.description,
            metadata=args.metadata,
            as_declared=args.as_declared,
            trust_code=args.trust_code,
            cache=not args.no_cache,
            latency=not args.no_latency,
            on_step=on_step,
        )
    return Outcome(conversion, describe(conversion), 0 if conversion.passed else 1)


def check_python(command: str) -> None:
    """Raises UnavailableError where Python is too old for a command of the converters."""
    if sys.version_info < NEEDED:
        raise UnavailableError(
            f"edge {command} needs Python {'.'.join(map(str, NEEDED))} or newer; this is "
            f"{'.'.join(map(str, sys.version_info[:2]))}.",
            "Convert on a machine, or in an environment, that has it: python3.11 -m venv .venv\n"
            "Everything else of edgeloop runs here as it is.",
        )


def describe(conversion: Conversion) -> str:
    """The conversion for a person."""
    report = conversion.report
    lines = [report_table(report), ""] if report.variants else []
    if conversion.search is not None:
        lines += [search_table(conversion.search), ""]
    told = _over_budget(conversion)
    for variant in report.variants:
        if variant.wide:
            lines.append(f"{variant.id} left in float: {', '.join(map(_short, variant.wide))}")
        if variant.status == "refused" and variant.id not in told:
            lines.append(f"{variant.id} is refused: {variant.reason}")
        elif variant.agreement and variant.agreement.unchecked_ops:
            ops = ", ".join(variant.agreement.unchecked_ops)
            lines.append(
                f"{variant.id} could not be run here, only looked at: no evaluator for {ops}"
            )
    on = {v.agreement.on for v in report.variants if v.agreement}
    if "random" in on:
        lines.append("Judged on random numbers: give --evaluate DATA for a judgement that counts.")
    elif "calibration" in on:
        lines.append("Judged on the calibration data: give --evaluate DATA for a fair judgement.")
    lines += [f"warning: {warning}" for warning in report.warnings]
    lines += _feeding(conversion)
    if conversion.cached:
        lines.append(f"Made before, proven now: {', '.join(conversion.cached)} (or --no-cache)")
    if conversion.passed:
        lines += [
            f"wrote {conversion.artifact}   {bytes_text(conversion.size)}   "
            f"sha256:{conversion.digest}",
            f"next: edge verify {shlex.quote(str(conversion.artifact))}",
        ]
    elif not report.variants:
        lines.append("Nothing was written. If it is right as it is: --as-declared")
    else:
        lines += _nothing_written(conversion)
    return "\n".join(printable(line) for line in "\n".join(lines).splitlines())


def _feeding(conversion: Conversion) -> list[str]:
    """What is wrong, or may be, with how the model is fed."""
    found = conversion.report.input_check
    if found is None or found.verdict in ("confirmed", "unchecked"):
        return []
    refused = found.verdict == "contradicted" and not conversion.report.variants
    said = f"{'refused' if refused else 'warning'}: {found.said}"
    return [said, f"Try: {found.remedy}"]


def _over_budget(conversion: Conversion) -> set[str]:
    """Variants of which the search's table says what they miss."""
    if conversion.search is None:
        return set()
    return {trial.id for trial in conversion.search.trials if trial.missed}


def _nothing_written(conversion: Conversion) -> list[str]:
    if conversion.search is None:
        return [
            "Nothing was written: a variant that was asked for is not good enough.",
            *_without_refused(conversion.report),
        ]
    near = [trial for trial in conversion.search.trials if trial.front and trial.missed]
    return [
        f"Infeasible: nothing was written. No variant holds {conversion.search.budget}.",
        *(f"{trial.id}: {'; '.join(map(str, trial.missed))}" for trial in near),
    ]


def search_table(search: Search) -> str:
    """Everything a search tried, the smallest first."""
    header = ("tried", "size", "accuracy drop", "latency", "front", "")
    rows = []
    for trial in search.trials:
        verdict = "chosen" if trial.id in search.chosen else "holds" if trial.holds else ""
        if not verdict:
            verdict = ", ".join(f"over on {s.limit}" for s in trial.missed) or "refused"
        rows.append(
            (
                trial.id,
                bytes_text(trial.size) if trial.size else "",
                "" if trial.accuracy_drop is None else f"{100 * trial.accuracy_drop:+.2f}",
                "" if trial.latency_ms is None else f"{trial.latency_ms:.3g} ms",
                "*" if trial.front else "",
                verdict,
            )
        )
    return table(header, rows, "<>>><<")


def _without_refused(report: ConversionReport) -> list[str]:
    """The options that ask for most of what stands, and for nothing that was refused."""
    stands = {(v.format, v.recipe): v.status != "refused" for v in report.variants}
    formats = list(dict.fromkeys(v.format for v in report.variants))
    recipes = list(dict.fromkeys(v.recipe for v in report.variants))
    best: tuple[int, Sequence[str], list[str]] = (0, (), [])
    for count in range(len(formats), 0, -1):
        for some in combinations(formats, count):
            having = [{stands[f, r] for f in some if (f, r) in stands} for r in recipes]
            kept = [r for r, found in zip(recipes, having, strict=True) if found == {True}]
            pairs = [(f, r) for f in some for r in kept if (f, r) in stands]
            if len(pairs) > best[0] and {f for f, _ in pairs} == set(some):
                best = (len(pairs), some, kept)
    _, chosen, kept = best
    if not kept:
        return []
    return [f"Without it: --formats {','.join(chosen)} --recipe {','.join(kept)}"]


def report_table(report: ConversionReport) -> str:
    """One line per variant, the original first."""
    timed = any(v.latency for v in report.variants)
    header = (
        *("variant", "size", "of original", "accuracy", "change", "same argmax", "max diff"),
        *(["latency"] if timed else []),
        "",
    )
    accuracy = next(
        (
            v.agreement.source_accuracy
            for v in report.variants
            if v.agreement and v.agreement.samples
        ),
        None,
    )
    name = f"{report.provenance.source_format} (original)"
    blank = [""] * (len(header) - 4)
    original = (name, bytes_text(report.source_size), "", _percent(accuracy), *blank)
    rows = [
        (*_row(v, report.source_size), *([_milliseconds(v)] if timed else []), v.status)
        for v in report.variants
    ]
    return table(header, [original, *rows], f"<{'>' * (len(header) - 2)}<")


def _milliseconds(variant: VariantReport) -> str:
    return "" if variant.latency is None else f"{variant.latency.p50_ms:.3g} ms"


def _row(variant: VariantReport, source_size: int) -> tuple[str, ...]:
    size = bytes_text(variant.size) if variant.size else ""
    share = f"{variant.size / source_size:.0%}" if variant.size else ""
    found = variant.agreement
    if found is None or found.max_difference is None:
        return (variant.id, size, share, "", "", "", "")
    change = ""
    if found.accuracy is not None and found.source_accuracy is not None:
        change = f"{100 * (found.accuracy - found.source_accuracy):+.2f}"
    return (
        variant.id,
        size,
        share,
        _percent(found.accuracy),
        change,
        _percent(found.argmax),
        f"{found.max_difference:.1e}",
    )


def _short(layer: str) -> str:
    """A layer's name without those of the operations fused into it."""
    return layer.partition(";")[0]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


def words(text: str) -> list[str]:
    """The words of an option like ``--formats``."""
    return [word.strip() for word in text.split(",") if word.strip()]


def shape_option(text: str) -> tuple[str, tuple[int, ...]]:
    """Name and shape of ``--input NAME:SHAPE``. Raises UsageError if it is none."""
    name, _, shape = text.rpartition(":")
    if not name or not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", shape):
        raise UsageError(
            f"--input {text} is not NAME:SHAPE.", "Write it as --input image:1x224x224x3"
        )
    return name, tuple(map(int, shape.split("x")))
