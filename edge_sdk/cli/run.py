"""``edge run``: feed pictures, videos or arrays to a model and say what it answers."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.cli.auditing import Trail, add_audit, audit_of
from edge_sdk.cli.command import Outcome
from edge_sdk.cli.loading import add_loading, load_model
from edge_sdk.errors import UsageError

if TYPE_CHECKING:
    from edge_sdk.cli.run_report import Answer, SourceReport, Tensors
    from edge_sdk.pipeline import Source
    from edge_sdk.runtime import Session
    from edge_sdk.spec import InputLimits, Result

SUMMARY = "run a model on pictures, videos or arrays"
_PROGRESS_EVERY_S = 0.2


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge run``."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="an .edge, or a bare .tflite or .onnx"
    )
    parser.add_argument(
        "inputs",
        type=Path,
        metavar="INPUT",
        nargs="+",
        help="pictures, folders of pictures, videos; .npy or .npz for a model that takes arrays",
    )
    add_loading(parser)
    parser.add_argument(
        "--draw",
        type=Path,
        metavar="OUT",
        help="draw the answers: a picture, an .mp4, or a folder for many inputs",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE.jsonl", help="write one JSON object per frame"
    )
    parser.add_argument(
        "--guard",
        metavar="LIMITS.toml|none",
        help="ask only about inputs that keep these limits (ranges, brightness, sharpness, size, "
        "rate) instead of those that the artifact declares, or about all; what is refused is "
        "counted",
    )
    add_audit(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Load, answer every frame, report."""
    from edge_sdk.cli.run_report import RunReport, describe, latency
    from edge_sdk.files import check_writable, refuse_overwriting

    refuse_overwriting({"--output": args.output, "--draw": args.draw}, _read(args))
    if args.output:
        check_writable(args.output)
    with load_model(args, guard=_limits(args.guard)) as session, audit_of(args) as trail:
        runner = _Runner(session, trail)
        started = time.perf_counter()
        if session.processing.preprocess is None:
            answers, sources = _run_arrays(runner, args)
        else:
            answers, sources = _run_pictures(runner, args)
        elapsed = time.perf_counter() - started
        report = RunReport(
            model=str(args.model),
            variant=session.variant,
            placement=session.placement,
            frames=len(answers),
            fps=round(len(answers) / elapsed, 2),
            latency_ms=latency(runner.milliseconds),
            guard=None if session.guard is None else session.guard.report(),
            sources=tuple(sources),
            warnings=tuple(source.warning for source in sources if source.warning),
            results=tuple(answers),
        )
    for warning in report.warnings:
        print(f"edge: {warning}", file=sys.stderr)
    if args.output:
        _write_lines(args.output, answers)
    return Outcome(report, describe(report))


def _read(args: argparse.Namespace) -> Iterator[Path | None]:
    """The files that it reads."""
    yield from (args.model, args.preprocess, args.labels)
    for path in args.inputs:
        yield from path.iterdir() if path.is_dir() else [path]


def _limits(asked: str | None) -> InputLimits | bool:
    """Those of a file, none, or the artifact's own."""
    if asked is None or asked == "none":
        return asked is None
    from edge_sdk.guard import read_limits

    return read_limits(asked)


class _Runner:
    """A session with a stopwatch around its inference, its guard before it, and a trail behind."""

    def __init__(self, session: Session, trail: Trail) -> None:
        self.session = session
        self._trail = trail
        self.milliseconds: list[float] = []

    def refusal(self, inputs: Any, stream: str, at_s: float = 0.0) -> str:
        """Why the guard, if there is one, does not want this to be asked; empty if it does."""
        if self.session.guard is None:
            return ""
        from edge_sdk.guard import RefusedInput

        try:
            self.session.guard.admit(inputs, stream=stream, at_s=at_s)
        except RefusedInput as refused:
            return refused.reason
        return ""

    def look(self, picture: Any, source: Path, index: int) -> Any:
        """``session.predict``, taken apart to time the middle."""
        inputs, geometry = self.session.processing.before(picture)
        answer = self.session.processing.after(self._infer(inputs), geometry)
        self._trail.record(self.session, picture, answer, source, index)
        return answer

    def run(self, inputs: Mapping[str, Any], source: Path, index: int) -> Result | Tensors:
        """The same for a model that takes arrays."""
        answer = self.session.processing.after(self._infer(inputs))
        self._trail.record(self.session, inputs, answer, source, index)
        return _as_word(answer)

    def _infer(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        started = time.perf_counter_ns()
        outputs = self.session._ask(inputs)  # ``refusal`` has asked the guard
        self.milliseconds.append((time.perf_counter_ns() - started) / 1e6)
        return outputs


def _as_word(answer: Any) -> Result | Tensors:
    from edge_sdk.cli.run_report import tensors
    from edge_sdk.processing import Mask

    if isinstance(answer, Mask):
        return answer.area()
    return tensors(answer) if isinstance(answer, dict) else answer


def _run_pictures(
    runner: _Runner, args: argparse.Namespace
) -> tuple[list[Answer], list[SourceReport]]:
    from edge_sdk.cli.run_report import Answer, SourceReport
    from edge_sdk.pipeline import Clip, draw, open_sink, open_sources, plan_sinks
    from edge_sdk.pipeline.arrays import SUFFIXES
    from edge_sdk.processing import Mask
    from edge_sdk.spec import Boxes, Classes

    for path in args.inputs:
        if path.suffix in SUFFIXES:
            raise UsageError(
                f"{args.model} takes pictures, and {path} holds arrays.",
                "Name pictures, folders of pictures or videos.",
            )
    sources = open_sources(args.inputs)
    if args.draw and runner.session.processing.postprocess is None:
        raise UsageError(
            f"{args.model} declares no postprocessing: there is nothing to draw.",
            "Leave out --draw.",
        )
    targets = plan_sinks(args.draw, sources) if args.draw else [None] * len(sources)
    answers: list[Answer] = []
    reports: list[SourceReport] = []
    for at, (source, target) in enumerate(zip(sources, targets, strict=True)):
        before, refused = len(answers), Counter[str]()
        label = source.path.name if len(sources) == 1 else f"{at + 1}/{len(sources)}"
        with open_sink(target, source) if target else nullcontext() as sink:
            for frame in _told(source.frames(), label, source):
                if reason := runner.refusal(frame.picture, str(at), frame.time_s or 0.0):
                    refused[reason] += 1
                    if sink is not None:
                        sink.write(draw(frame.picture, Boxes(found=())))
                    continue
                found = runner.look(frame.picture, source.path, frame.index)
                answers.append(
                    Answer(
                        source=str(source.path),
                        index=frame.index,
                        time_s=frame.time_s,
                        result=_as_word(found),
                    )
                )
                if sink is not None and isinstance(found, Boxes | Classes | Mask):
                    sink.write(draw(frame.picture, found))
        reports.append(
            SourceReport(
                path=str(source.path),
                kind="video" if isinstance(source, Clip) else "picture",
                frames=len(answers) - before,
                announced=source.announced,
                refused=dict(refused),
                drawn=str(target) if target else None,
            )
        )
    return answers, reports


def _run_arrays(
    runner: _Runner, args: argparse.Namespace
) -> tuple[list[Answer], list[SourceReport]]:
    from edge_sdk.cli.run_report import Answer, SourceReport
    from edge_sdk.pipeline import read_arrays
    from edge_sdk.pipeline.arrays import SUFFIXES

    session = runner.session
    answers: list[Answer] = []
    reports: list[SourceReport] = []
    for path in args.inputs:
        if path.suffix not in SUFFIXES:
            raise UsageError(
                f"{args.model} declares no preprocessing, so it cannot take {path}.",
                "Say how a picture is prepared with --preprocess SPEC.toml, or give an .npy or "
                f".npz for {', '.join(map(str, session.signature.inputs))}.",
            )
    if args.draw:
        raise UsageError("There is no picture to draw on.", "Leave out --draw.")
    for path in args.inputs:
        before, refused, count = len(answers), Counter[str](), 0
        for index, inputs in enumerate(read_arrays(path, session.engine_signature)):
            count += 1
            if reason := runner.refusal(inputs, f"{path} {index}"):
                refused[reason] += 1
                continue
            result = runner.run(inputs, path, index)
            answers.append(Answer(source=str(path), index=index, time_s=None, result=result))
        reports.append(
            SourceReport(
                path=str(path),
                kind="arrays",
                frames=len(answers) - before,
                announced=count,
                refused=dict(refused),
            )
        )
    return answers, reports


def _told(frames: Iterable[Any], label: str, source: Source) -> Iterator[Any]:
    """The same frames, with a line of progress on a terminal's stderr."""
    if not sys.stderr.isatty():
        yield from frames
        return
    shown_at = 0.0
    for count, frame in enumerate(frames, start=1):
        yield frame
        if (now := time.monotonic()) - shown_at > _PROGRESS_EVERY_S:
            shown_at = now
            whole = f"/{source.expected}" if source.expected else ""
            print(f"\r\x1b[K{label}: {count}{whole} frames", end="", file=sys.stderr, flush=True)
    print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _write_lines(path: Path, answers: list[Answer]) -> None:
    import msgspec

    from edge_sdk.files import whole_file

    with whole_file(path) as file:
        for answer in answers:
            file.write(msgspec.json.encode(answer) + b"\n")
