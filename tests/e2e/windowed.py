"""A pipeline with a window, in MediaPipe's own Python, whose OpenCV has windows.

    python windowed.py SOURCE SECONDS

Says when it is over, and how many frames it had.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from edge_sdk.errors import EdgeError
from edge_sdk.pipeline import Pipeline
from edge_sdk.pipeline.outputs import Window
from edge_sdk.pipeline.sources import open_source


def main(source: str, seconds: float) -> None:
    pipeline = Pipeline(open_source(source), [], [Window("shown")])
    timer = threading.Timer(seconds, pipeline.stop)
    timer.daemon = True
    timer.start()
    print(f"over after {pipeline.run().done} frames", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1], float(sys.argv[2]))
    except EdgeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
