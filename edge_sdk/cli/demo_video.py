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
        default="blur",
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
    parser.add_argument("--seconds", type=float, metavar="N", help="end after so long")
    parser.add_argument(
        "--lines", type=Path, metavar="FILE.jsonl", help="write what was found, a line a frame"
    )
    parser.add_argument(
        "--faces-model", type=Path, metavar="X.edge", help="another detector than MediaPipe's"
    )
    parser.add_argument(
        "--person-model", type=Path, metavar="X.edge", help="another segmentation likewise"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Do it; what came of it."""
    from edge_sdk.demos.video import VideoDemo, described

    demo = VideoDemo(
        source=args.input,
        effect=args.effect,
        background=args.background,
        output=args.output,
        side_by_side=args.side_by_side,
        live=args.live,
        seconds=args.seconds,
        lines=args.lines,
        faces_model=args.faces_model,
        person_model=args.person_model,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    report = demo.run()
    return Outcome(report, described(report))
