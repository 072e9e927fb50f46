"""The process in which a delegate's library is tried before it is let into any other.

It writes what it is at into a pipe of its own, one line before each step and one when it is
through, so that whoever started it knows where it died: a library may print what it likes, and may
end the process with any exit code, 0 too. What the engine can report by itself is no crash: then it
is through as well, and the engine will report it again where it matters.

    edge_sdk.backends.probe.main([PIPE, ENGINE, LIBRARY, OPTIONS, MODEL, THREADS])
"""

from __future__ import annotations

import json
import os
import resource
from contextlib import suppress
from importlib import import_module

import numpy as np

THROUGH = "through"
"""The last line, of who has come to the end."""


def main(arguments: list[str]) -> None:
    """Go through everything that a session would do with the library."""
    pipe = int(arguments[0])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash here is news, not a file
    with suppress(ValueError, RuntimeError, OSError, AttributeError):
        _try(pipe, *arguments[1:])
    _say(pipe, THROUGH)


def _try(pipe: int, engine: str, library: str, options: str, model: str, threads: str) -> None:
    interpreters = import_module(engine)
    _say(pipe, "it is loaded")
    delegate = interpreters.load_delegate(library, json.loads(options))
    _say(pipe, "it takes the model")
    interpreter = interpreters.Interpreter(
        model_path=model, num_threads=int(threads), experimental_delegates=[delegate]
    )
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        if not np.dtype(detail["dtype"]).hasobject:
            zeros = np.zeros(detail["shape"], detail["dtype"])
            interpreter.set_tensor(detail["index"], zeros)
    _say(pipe, "it runs the model")
    interpreter.invoke()
    _say(pipe, "it is unloaded")
    del interpreter, delegate


def _say(pipe: int, stage: str) -> None:
    os.write(pipe, f"{stage}\n".encode())
