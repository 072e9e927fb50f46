"""``edge demo voice``: a wake word, a command, its intent; heard on this machine alone."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path

from edge_sdk.cli.command import Outcome
from edge_sdk.cli.voice import serve_wake_words, wake_word
from edge_sdk.errors import UsageError
from edge_sdk.voice.published import PUBLISHED

SUMMARY = "hear a wake word and the command after it, offline"
_SPOKEN = "okay nabu, turn on the light"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge demo voice``."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--say", metavar="TEXT", default=_SPOKEN, help=f"what espeak-ng says first: {_SPOKEN!r}"
    )
    what.add_argument(
        "--input",
        metavar="FILE",
        help="a wav instead; - takes a wav or raw 16 kHz mono PCM from a pipe",
    )
    what.add_argument("--microphone", action="store_true", help="the microphone instead")
    what.add_argument(
        "--wyoming", metavar="URI", help="serve the wake word instead, at tcp://HOST:PORT"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="listen only for so long, not to the end; a pipe is waited for no longer either",
    )
    parser.add_argument(
        "--model",
        default="okay_nabu",
        metavar="WORD",
        help=f"a micro wake word: {', '.join(sorted(PUBLISHED))}, or a .tflite",
    )
    parser.add_argument("--activity", type=Path, metavar="MODEL", help="silero's network (.onnx)")
    parser.add_argument(
        "--vocabulary", type=Path, metavar="FILE.toml", help="what may be said, and what it means"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Listen; say each event as it happens, and what came of it."""
    if args.seconds is not None and not 0 < args.seconds < math.inf:
        raise UsageError(f"{args.seconds} seconds are no time to listen.", "--seconds 10")
    if args.input not in (None, "-") and not Path(args.input).is_fifo():
        from edge_sdk.voice.audio import wav_blocks

        wav_blocks(args.input)  # a bad file is told before any model is fetched
    if args.vocabulary is not None:
        from edge_sdk.voice.vocabulary import read_vocabulary

        read_vocabulary(args.vocabulary)
    model = wake_word(args.model)
    if args.wyoming is not None:
        return serve_wake_words([model], args.wyoming)
    activity = args.activity or _asset("silero-vad") / "silero_vad_16k_op15.onnx"
    return _listen(args, model, activity)


def _listen(args: argparse.Namespace, model: Path, activity: Path) -> Outcome:
    from edge_sdk.demos import voice

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with (
        tempfile.TemporaryDirectory(prefix="edgeloop-demo-") as scratch,
        voice.sound(args.input, args.microphone, args.say, Path(scratch), args.seconds) as (
            name,
            blocks,
        ),
    ):
        say(f"Listening to {name}")
        found = voice.listen(blocks, model, activity, args.vocabulary, say)
    return Outcome(found, voice.conclusion(found))


def _asset(name: str) -> Path:
    from edge_sdk.demos.assets import asset

    return Path(asset(name))
