"""Fashion-MNIST: 60,000 pictures of clothes to learn from and 10,000 to be judged on.

H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms, 2017. Each picture is 28 x 28 bytes, 0 the background; each label is one of
ten. The files are in the idx format: a magic number (two zero bytes, the type 8 for bytes, the
number of axes), the length of each axis as a big-endian 32-bit number, then the bytes.

    python -m examples.fashion_mnist.dataset FOLDER --pictures 5

writes them as ``edge convert`` and ``edge run`` take them.
"""

from __future__ import annotations

import argparse
import gzip
import math
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError, UsageError
from edge_sdk.files import disk_error, whole_file
from edge_sdk.pipeline.picture_file import write_picture
from examples.assets import AssetError, asset

LABELS = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""The classes in the order of their numbers; the first is the dataset's "T-shirt/top"."""

SIDE = 28
"""Height and width of a picture in pixels."""

CALIBRATION = 200
"""Pictures that a conversion is calibrated with."""

_FILES = {"train": ("train", 60_000), "test": ("t10k", 10_000)}
_BYTES = 0x0800


@dataclass(frozen=True)
class Split:
    """One part of the dataset.

    Attributes:
        images: pictures x 28 x 28 x 1, bytes.
        labels: the class of each, 0 to 9.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    def pixels(self) -> npt.NDArray[np.float32]:
        """The images as the network takes them: float32, 0 to 1."""
        return self.images.astype(np.float32) / np.float32(255)


def load(part: Literal["train", "test"], folder: Path | None = None) -> Split:
    """Read one part of the dataset.

    Args:
        part: which one.
        folder: where the four ``.gz`` files are; by default the asset ``fashion-mnist``.

    Raises:
        AssetError: the asset is not on this machine and cannot be fetched.
        UsageError: a file is missing, damaged or not what it should be.
    """
    folder = asset("fashion-mnist") if folder is None else folder
    prefix, count = _FILES[part]
    images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz", (count, SIDE, SIDE))
    labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", (count,))
    if labels.max() >= len(LABELS):
        raise UsageError(f"{folder} has a label {labels.max()}; there are {len(LABELS)}.", _AGAIN)
    return Split(images=images[..., np.newaxis], labels=labels)


def read_idx(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Read a gzipped idx file of bytes that must have this shape.

    Raises:
        UsageError: missing, not gzip, cut off, of another type or of another shape.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read: {error}.", _AGAIN) from error
    header = struct.pack(f">I{len(shape)}I", _BYTES + len(shape), *shape)
    if not content.startswith(header) or len(content) != len(header) + math.prod(shape):
        wanted = " x ".join(map(str, shape))
        raise UsageError(f"{path} is not an idx file of {wanted} bytes.", _AGAIN)
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


_AGAIN = "scripts/assets fashion-mnist   # fetches what is missing or damaged"


def write_data(folder: Path) -> Path:
    """Write what a conversion is calibrated with and judged by; returns the folder.

    ``calibration.npz`` holds ``x``, 200 pictures to learn from, as the network takes them (float32,
    0..1, 200 x 28 x 28 x 1); ``evaluation.npz`` the 10,000 test pictures as ``x`` and their classes
    as ``y``, int64.

    Raises:
        AssetError, UsageError: see ``load``; or the folder cannot be written.
        UnavailableError: the disk is full.
    """
    train, test = load("train"), load("test")
    rows = np.random.default_rng(0).choice(len(train.labels), CALIBRATION, replace=False)
    some = Split(train.images[rows], train.labels[rows])
    _make(folder)
    _write_arrays(folder / "calibration.npz", x=some.pixels())
    _write_arrays(folder / "evaluation.npz", x=test.pixels(), y=test.labels.astype(np.int64))
    return folder


def write_images(folder: Path, per_class: int) -> Path:
    """Write test pictures as PNG files in a folder a class; returns the folder.

    They are the first of each class, and a file's name is its place in the test set.

    Raises:
        AssetError, UsageError: see ``load``; or the folder cannot be written.
        UnavailableError: the disk is full, or OpenCV is not installed.
    """
    test = load("test")
    for number, label in enumerate(LABELS):
        _make(folder / label)
        for row in np.flatnonzero(test.labels == number)[:per_class]:
            picture = np.repeat(test.images[row], 3, axis=-1)
            write_picture(folder / label / f"{row:05}.png", picture)
    return folder


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error


def _write_arrays(path: Path, **arrays: npt.NDArray[np.generic]) -> None:
    with whole_file(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.fashion_mnist.dataset")
    parser.add_argument("folder", type=Path, help="gets calibration.npz and evaluation.npz")
    parser.add_argument(
        "--pictures", type=int, default=0, metavar="N", help="and N test pictures of each class"
    )
    args = parser.parse_args()
    try:
        print(write_data(args.folder))
        if args.pictures > 0:
            print(write_images(args.folder / "pictures", args.pictures))
    except (EdgeError, AssetError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
