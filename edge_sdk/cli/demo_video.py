"""``edge demo video``: faces covered, rooms blurred, in a video, photos, a camera, a stream."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_sdk.cli.command import Outcome

SUMMARY = "cover faces, blur or replace what is behind a person"
_PAGE = "127.0.0.1:8089"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge demo video``."""
    parser.add_argument(
        "--input",
        metavar="SOURCE",
        help="a video, a picture, a folder of pictures, a camera's number, rtsp://… or http://…, "
        "picamera, nvargus:0, synthetic (a man in a car)",
    )
    parser.add_argument(
        "--effect",
        choices=["faces", "background", "both"],
        default="faces",
        help="what to do (faces)",
    )
    parser.add_argument(
        "--background",
        metavar="LOOK",
        help="blur, a colour such as '#00b140', or a picture file (blur)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="OUT",
        help="an .mp4 or .avi, or a folder for pictures (demo-EFFECT beside you, unless --live)",
    )
    parser.add_argument(
        "--side-by-side", action="store_true", help="beside what it was, twice as wide"
    )
    parser.add_argument(
        "--live",
        metavar="HOST:PORT",
        nargs="?",
        const=_PAGE,
        help=f"show it in the browser ({_PAGE}) until Ctrl-C; a video begins again and again",
    )
    parser.add_argument(
        "--window",
        action="store_true",
        help="show it in a window of this machine; Esc, q or closing it ends it",
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="end after so long")
    parser.add_argument(
        "--lines", type=Path, metavar="FILE.jsonl", help="write what was found, a line a frame"
    )
    parser.add_argument(
        "--mqtt",
        metavar="mqtt://HOST[:PORT]/TOPIC",
        help="publish what was found, a message a frame (TOPIC: edgeloop/video)",
    )
    parser.add_argument("--mqtt-user", metavar="NAME", default="", help="who we are to the broker")
    parser.add_argument("--mqtt-password-file", type=Path, metavar="FILE", help="and by what")
    parser.add_argument(
        "--backend",
        metavar="NAME",
        help="mediapipe: MediaPipe Tasks runs the models; else an engine's name (the best here)",
    )
    parser.add_argument(
        "--faces-model", type=Path, metavar="X.edge", help="another detector than MediaPipe's"
    )
    parser.add_argument(
        "--person-model", type=Path, metavar="X.edge", help="another segmentation likewise"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Do it; what came of it."""
    from edge_sdk.demos.video import VideoDemo
    from edge_sdk.demos.video_report import described

    demo = VideoDemo(
        source=args.input,
        effect=args.effect,
        background=args.background,
        output=args.output,
        side_by_side=args.side_by_side,
        live=args.live,
        window=args.window,
        mqtt=args.mqtt,
        mqtt_user=args.mqtt_user,
        mqtt_password_file=args.mqtt_password_file,
        backend=args.backend,
        seconds=args.seconds,
        lines=args.lines,
        faces_model=args.faces_model,
        person_model=args.person_model,
        say=lambda line: print(line, file=sys.stderr, flush=True),
        progress=_progress if sys.stderr.isatty() else None,
    )
    report = demo.run()
    return Outcome(report, described(report))


def _progress(done: int, count: int) -> None:
    """A line on a terminal's stderr, gone when all is done."""
    text = "" if done == count else f"{done} frames" if not count else f"{done}/{count} frames"
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
