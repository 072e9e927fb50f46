"""How a short example is called: the shell's words are the arguments of its ``main``.

    if __name__ == "__main__":
        from_shell(main)

Too few or too many are answered with a line of usage, and what is wrong with the input in
edgeloop's own words. Exit codes are those of ``edge``: 0 done, 2 usage or bad input, 3 something is
not available, 4 corrupt.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import NoReturn

from edge_sdk.errors import EdgeError


def from_shell(main: Callable[..., None]) -> None:
    """Run ``main`` with the words that the program was called with; one that is to be an ``int``
    becomes one."""
    words, signature = sys.argv[1:], inspect.signature(main)
    if "-h" in words or "--help" in words:
        print(_usage(signature))
        return
    try:
        given = signature.bind(*words).arguments
        for name, word in given.items():
            if signature.parameters[name].annotation is int:
                given[name] = int(word)
    except (TypeError, ValueError):
        _end(_usage(signature), 2)
    try:
        main(*inspect.BoundArguments(signature, given).args)
    except EdgeError as error:
        _end(str(error), error.exit_code)
    except OSError as error:
        _end(f"{error.filename or 'It'}: {error.strerror or error}.", 2)


def _usage(signature: inspect.Signature) -> str:
    module = sys.modules["__main__"].__spec__
    words = ["usage: python -m", module.name if module is not None else sys.argv[0]]
    for name, parameter in signature.parameters.items():
        several = " …" if parameter.kind is parameter.VAR_POSITIONAL else ""
        needed = parameter.default is parameter.empty and not several
        words.append(name.upper() if needed else f"[{name.upper()}{several}]")
    return " ".join(words)


def _end(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(code)
