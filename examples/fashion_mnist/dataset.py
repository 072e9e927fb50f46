"""Fashion-MNIST: 60,000 pictures of clothes to learn from and 10,000 to be judged on.

H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms, 2017. Each picture is 28 x 28 bytes, 0 the background; each label is one of ten.
The files are in the idx format: a magic number (two zero bytes, the type 8 for bytes, the number of
axes), the length of each axis as a big-endian 32-bit number, then the bytes.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import UsageError
from examples.assets import asset

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
