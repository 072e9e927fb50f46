"""What demos take from the repository: its models and its clips."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge_sdk.errors import UnavailableError


def checkout() -> Path:
    """The repository: models and data of the demos are fetched by its examples.

    Raises:
        UnavailableError: edgeloop was installed from a wheel.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "examples" / "fashion_mnist").is_dir():
        raise UnavailableError(
            "The demo takes its models from the repository, and this is an installed edgeloop.",
            "make demo   # in a clone",
        )
    return root


def example(module: str, *words: object) -> str:
    """Run a module of ``examples``; answers its stdout."""
    return _python("-m", module, *words)


def asset(name: str) -> str:
    """The path of one of the repository's assets."""
    return _python("scripts/assets", "--path", name).strip()


def mediapipe_python() -> str:
    """The Python that has MediaPipe, in a venv of its own; made when it is first asked for.

    Raises:
        UnavailableError: edgeloop was installed from a wheel, or MediaPipe cannot be installed.
    """
    try:
        script = checkout() / "scripts" / "mediapipe"
    except UnavailableError as error:
        raise UnavailableError(
            "MediaPipe Tasks is not in this Python, and shares none with edgeloop[vision].",
            "python3 -m venv tasks && tasks/bin/pip install 'edgeloop[mediapipe]' && "
            "tasks/bin/edge demo video --backend mediapipe --faces-model X.edge",
        ) from error
    done = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"{script} ended with {done.returncode}.")
    return done.stdout.strip()


def _python(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=checkout(),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UnavailableError(f"python {' '.join(map(str, words))} ended with {done.returncode}.")
    return done.stdout
