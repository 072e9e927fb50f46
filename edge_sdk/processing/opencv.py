"""OpenCV, imported when it is first needed and not before: it costs 40 ms and 30 MB."""

from __future__ import annotations

from types import ModuleType

from edge_sdk.errors import UnavailableError


def import_cv2(need: str) -> ModuleType:
    """OpenCV's module.

    Args:
        need: what it is needed for, as in "Reading a video".

    Raises:
        UnavailableError: it is not installed or does not import here.
    """
    try:
        import cv2
    except ImportError as error:
        raise UnavailableError(
            f"{need} needs OpenCV, which does not import: {error}.",
            "pip install 'edgeloop[vision]'",
        ) from error
    module: ModuleType = cv2
    return module
