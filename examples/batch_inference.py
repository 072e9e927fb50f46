"""Many pictures at once: a folder in batches, and how often each class was seen.

    .venv/bin/python -m examples.batch_inference fashion-1.0.0.edge pictures/ 64

A model that is built for one picture at a time is run row by row, with the same answers. What the
artifact's limits refuse is counted by its reason.
"""

import time
from collections import Counter
from pathlib import Path

import edge_sdk
from edge_sdk.errors import UsageError
from edge_sdk.guard import RefusedInput
from edge_sdk.pipeline import read_picture
from edge_sdk.spec import Classes
from examples.shell import from_shell


def main(model: str, folder: str, rows: int = 64) -> None:
    """Run it."""
    if not Path(folder).is_dir():
        raise UsageError(f"There is no folder {folder}.", "Name a folder of pictures.")
    files, step = sorted(Path(folder).rglob("*.png")), max(1, rows)
    if not files:
        raise UsageError(f"There are no .png in {folder}.", "Name a folder of pictures.")
    seen: Counter[str] = Counter()
    started = time.perf_counter()
    with edge_sdk.load(model) as session:
        for start in range(0, len(files), step):
            pictures = [read_picture(file) for file in files[start : start + step]]
            for answer in session.predict_batch(pictures):
                if isinstance(answer, RefusedInput):
                    seen[f"refused: {answer.reason}"] += 1
                elif isinstance(answer, Classes):
                    seen[answer.top[0].label] += 1
    rate = len(files) / (time.perf_counter() - started)
    print(f"{len(files)} pictures, {rate:.0f} a second")
    for label, count in seen.most_common():
        print(f"{count:5} {label}")


if __name__ == "__main__":
    from_shell(main)
