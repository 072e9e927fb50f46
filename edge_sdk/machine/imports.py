"""Whether an engine's import ends the process: found out in processes of their own.

Some imports do: a library for another processor, of another C library, half overwritten by another
package. Whoever looks for what is wrong with a machine must not die of it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec

ENGINES: Mapping[str, str] = {
    "litert": "ai_edge_litert.interpreter",
    "litert-compiled": "ai_edge_litert.compiled_model",
    "tflite-runtime": "tflite_runtime.interpreter",
    "onnxruntime": "onnxruntime",
}
"""Backend to the module that loads its library. TensorFlow's is only looked up, never imported."""

IMPORT_SECONDS = 60


def deadly(engines: Mapping[str, str] = ENGINES) -> dict[str, str]:
    """Which engines are here and end, or hang, the process that imports them, and how.

    Args:
        engines: any names, to modules.
    """
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "
        f"sys.path[:] = {sys.path!r}\ntry: __import__(sys.argv[1])\nexcept Exception: pass"
    )
    started = {
        name: subprocess.Popen(
            [sys.executable, "-I", "-c", program, module],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name, module in engines.items()
        if find_spec(module.partition(".")[0]) is not None
    }
    return {name: how for name, process in started.items() if (how := _ending(process))}


def _ending(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(IMPORT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"its import does not come to an end within {IMPORT_SECONDS} s"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"its import ends any program ({name})"
    return ""
