"""The process in which a delegate's library is tried before it is let into any other.

It says on stdout what it is at, one line before each step, so that whoever started it knows where
it died. What the engine can report by itself is no crash: then it ends with 0, and the engine will
report it again where it matters.

    python -m edge_sdk.backends.probe ENGINE LIBRARY OPTIONS MODEL THREADS
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module

import numpy as np


def main(arguments: list[str]) -> int:
    """Go through everything that a session would do with the library."""
    engine, library, options, model, threads = arguments
    interpreters = import_module(engine)
    try:
        _say("it is loaded")
        delegate = interpreters.load_delegate(library, json.loads(options))
        _say("it takes the model")
        interpreter = interpreters.Interpreter(
            model_path=model, num_threads=int(threads), experimental_delegates=[delegate]
        )
        interpreter.allocate_tensors()
        for detail in interpreter.get_input_details():
            if not np.dtype(detail["dtype"]).hasobject:
                zeros = np.zeros(detail["shape"], detail["dtype"])
                interpreter.set_tensor(detail["index"], zeros)
        _say("it runs the model")
        interpreter.invoke()
        _say("it is unloaded")
        del interpreter, delegate
    except (ValueError, RuntimeError, OSError, AttributeError):
        return 0
    return 0


def _say(stage: str) -> None:
    os.write(1, f"> {stage}\n".encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
