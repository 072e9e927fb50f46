"""``edge demo``: stories that show the product, told with its own parts.

A story is a module with the three names of a command (``edge_sdk.cli.command``); it is imported
when its help is asked for or it is told.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import cast

from edge_sdk.cli.command import Command, Outcome

SUMMARY = "show what it does, on this machine, on real models"

STORIES = {
    "loop": "edge_sdk.cli.demo_loop",
    "text": "edge_sdk.cli.demo_text",
    "video": "edge_sdk.cli.demo_video",
    "voice": "edge_sdk.cli.demo_voice",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge demo``."""
    stories = parser.add_subparsers(metavar="STORY", dest="story", required=True, title="stories")
    for name in STORIES:
        story = _story(name)
        told = stories.add_parser(
            name,
            help=story.SUMMARY,
            description=story.SUMMARY[:1].upper() + story.SUMMARY[1:] + ".",
            allow_abbrev=False,
        )
        told.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="print the result as one JSON object",
        )
        story.configure(told)


def run(args: argparse.Namespace) -> Outcome:
    """Tell the story; it raises if anything in it does not happen."""
    return _story(args.story).run(args)


def _story(name: str) -> Command:
    return cast(Command, import_module(STORIES[name]))
