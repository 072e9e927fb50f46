"""What happens to a camera: dusk, and a lens out of focus."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_sdk.pipeline.picture_file import read_picture, write_picture
from edge_sdk.processing.opencv import import_cv2

LIGHT = 0.35
BLUR_SIGMA = 1.6


def darken_and_blur(folder: Path) -> int:
    """Spoil every picture in a folder; answers how many there were."""
    cv2 = import_cv2("Spoiling pictures")
    paths = sorted(folder.glob("*.png"))
    for path in paths:
        blurred = cv2.GaussianBlur(read_picture(path), (0, 0), BLUR_SIGMA)
        write_picture(path, np.asarray(blurred * LIGHT, np.uint8))
    return len(paths)
