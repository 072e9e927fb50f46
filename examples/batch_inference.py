"""Many pictures at once: a folder in batches, and how often each class was seen.

    .venv/bin/python -m examples.batch_inference fashion-1.0.0.edge pictures/ 64

A model that is built for one picture at a time is run row by row, with the same answers.
"""

import time
from collections import Counter
from pathlib import Path

import numpy as np

import edge_sdk
from edge_sdk.errors import UsageError
from edge_sdk.pipeline import read_picture
from examples.shell import from_shell


def main(model: str, folder: str, rows: int = 64) -> None:
    """Run it."""
    if not Path(folder).is_dir():
        raise UsageError(f"There is no folder {folder}.", "Name a folder of pictures.")
    files, step = sorted(Path(folder).rglob("*.png")), max(1, rows)
    if not files:
        raise UsageError(f"There are no .png in {folder}.", "Name a folder of pictures.")
    seen: Counter[int] = Counter()
    started = time.perf_counter()
    with edge_sdk.load(model) as session:
        (name,), (scores,) = session.signature.inputs, session.signature.outputs
        for start in range(0, len(files), step):
            pictures = map(read_picture, files[start : start + step])
            prepared = [session.processing.before(picture)[0][name.name] for picture in pictures]
            outputs = session.run_batch({name.name: np.concatenate(prepared)})
            seen.update(outputs[scores.name].argmax(axis=1).tolist())
        labels = session.processing.labels
    rate = len(files) / (time.perf_counter() - started)
    print(f"{len(files)} pictures, {rate:.0f} a second")
    for index, count in seen.most_common():
        print(f"{count:5} {labels[index]}")


if __name__ == "__main__":
    from_shell(main)
