"""``edge``: find the command, run it, say what came of it, exit with a number that means something.

Results go to stdout, everything else to stderr. Engines print on stdout as they please, from C++
too, and C libraries hold what they print until the process ends; so file descriptor 1 points at
stderr from the first moment to the last, and the result is written to the real one.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NoReturn, cast

from edge_sdk.cli.announce import announcing
from edge_sdk.cli.command import Command, Outcome
from edge_sdk.errors import EdgeError, UnavailableError, UsageError
from edge_sdk.interrupt import interruptible
from edge_sdk.spec.version import AGENT_VERSION
from edge_sdk.text import nearest, printable

EXIT_BUG = 70
EXIT_INTERRUPTED = 130
EXIT_UNREAD = 141
"""What a shell reports of a program that SIGPIPE ended."""
ENTRY_POINTS = "edge.commands"

_HELP = """\
usage: edge COMMAND … [--json]

Convert a model, prove it, and run it on small machines.

commands:
{commands}

  edge COMMAND --help   tells what a command takes
  edge --version        prints the version

exit codes: 0 done; 1 a negative verdict; 2 usage or bad input; 3 something is not available;
            4 untrusted or corrupt artifact; 70 a bug of ours; 130 interrupted"""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are our errors, so that all errors look alike."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Every parser says itself what it does not know, so that the hint is its own."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        raise UsageError(
            message[:1].upper() + message[1:] + ".", f"{self.prog} --help   # says what it takes"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; answers the exit code.

    Args:
        arguments: the words after ``edge``; None takes the process's own, and its stdout for good.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    try:
        with interruptible(), _stdout_kept_clean(for_good=arguments is None) as stdout:
            with announcing(stdout, as_json):
                outcome = _run(words)
            _print(outcome, as_json, stdout)
    except EdgeError as error:
        return _complain(error.message, error.hint, error.exit_code, as_json)
    except KeyboardInterrupt:
        return _complain("Interrupted; nothing was left half done.", "", EXIT_INTERRUPTED, as_json)
    except BrokenPipeError:
        if _has_reader(2):
            return _bug(as_json)
        _point_at_nothing(2)
        return EXIT_UNREAD
    except Exception:  # noqa: BLE001 - the last line of defence; everything expected is above
        return _bug(as_json)
    return outcome.exit_code


def _run(words: list[str]) -> Outcome:
    commands = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    name = next((word for word in words if not word.startswith("-")), None)
    if name is None:
        return _run_without_command(words, commands)
    if name not in commands:
        raise UsageError(f"There is no command {name!r}.", nearest(name, commands))
    command = _import(commands[name])
    parser = parser_of(name, command)
    words.remove(name)
    if "-h" in words or "--help" in words:
        text = _addressed(parser, words).format_help()
        return Outcome({"help": text}, text.rstrip())
    return command.run(parser.parse_args(words))


def parser_of(name: str, command: Command) -> argparse.ArgumentParser:
    """What reads the arguments of a command."""
    parser = _Parser(
        prog=f"edge {name}",
        description=command.SUMMARY,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="print this and exit")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    command.configure(parser)
    return parser


def parsers_below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of a command's own commands, by name; empty if it has none."""
    below: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            below |= action.choices
    return below


def _addressed(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the innermost command that the words name: whose help is meant."""
    below = parsers_below(parser)
    for position, word in enumerate(words):
        if word in below:
            return _addressed(below[word], words[position + 1 :])
    return parser


def _run_without_command(words: list[str], commands: Mapping[str, EntryPoint]) -> Outcome:
    options = [word for word in words if word != "--json"]
    unknown = [word for word in options if word not in ("-h", "--help", "--version")]
    if unknown:
        raise UsageError(
            f"There is no option {unknown[0]!r} without a command.", "edge --help   # lists both"
        )
    if "--version" in options:
        return Outcome({"version": AGENT_VERSION}, AGENT_VERSION)
    if not options and words:
        raise UsageError("No command was given.", "edge --help   # lists them")
    width = max(map(len, commands), default=0)
    lines = [f"  {name:<{width}}   {_summary(point)}" for name, point in sorted(commands.items())]
    text = _HELP.format(commands="\n".join(lines))
    return Outcome({"help": text}, text, exit_code=0 if options else UsageError.exit_code)


def _import(point: EntryPoint) -> Command:
    try:
        return cast(Command, import_module(point.value))
    except ImportError as error:
        raise UnavailableError(
            f"The command {point.name!r} cannot be imported: {error}.",
            "pip install --force-reinstall edgeloop",
        ) from error


def _summary(point: EntryPoint) -> str:
    """One line about a command; one that cannot be imported must not take the others' help away."""
    try:
        return _import(point).SUMMARY
    except UnavailableError as error:
        return f"(not available) {error.message}"


def _print(outcome: Outcome, as_json: bool, stdout: int) -> None:
    if outcome.value is None:
        return
    if as_json:
        import msgspec

        text = msgspec.json.format(msgspec.json.encode(outcome.value), indent=2).decode()
    else:
        text = outcome.text
    rest = memoryview(f"{text}\n".encode(errors="backslashreplace"))
    try:
        while rest:
            rest = rest[os.write(stdout, rest) :]
    except BrokenPipeError:
        return  # whoever read it has seen enough
    except OSError as error:
        raise UnavailableError(f"The result cannot be written: {error.strerror}.") from error


def _complain(message: str, hint: str, exit_code: int, as_json: bool, before: str = "") -> int:
    """Say what went wrong, for a person or as the last line of stderr, and answer the exit code."""
    if as_json:  # by json, not msgspec, since a file's name may be any bytes
        text = json.dumps({"error": message, "hint": hint, "exit_code": exit_code})
    else:
        lines = [printable(line) for line in (*message.splitlines(), *hint.splitlines())]
        text = "edge: " + "\n      ".join(lines)
    try:
        print(before + text, file=sys.stderr)
    except OSError:  # nobody can be told, but by the exit code
        _point_at_nothing(2)
    return exit_code


def _bug(as_json: bool) -> int:
    message = "This is a bug in edgeloop, not in what you did."
    hint = "Please report it with the lines above."
    return _complain(message, hint, EXIT_BUG, as_json, before=traceback.format_exc())


@contextmanager
def _stdout_kept_clean(for_good: bool) -> Iterator[int]:
    """The real stdout's descriptor, for the result alone; meanwhile, or for good, 1 is stderr."""
    for number in (0, 1, 2):
        _fill(number)
    if sys.stdout is not None:
        sys.stdout.flush()
    real = os.dup(1)
    os.dup2(2, 1)
    try:
        yield real
    finally:
        if not for_good:
            sys.stdout.flush()
            os.dup2(real, 1)
        os.close(real)


def _fill(number: int) -> None:
    """Whoever closed a standard stream must not have the next file we open take its place."""
    try:
        os.fstat(number)
    except OSError:
        _point_at_nothing(number)


def _point_at_nothing(number: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing != number:
        os.dup2(nothing, number)
        os.close(nothing)


def _has_reader(descriptor: int) -> bool:
    """Whether somebody can still read what is written there."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return not any(event & select.POLLERR for _, event in poll.poll(0))


if __name__ == "__main__":
    sys.exit(main())
