"""The input guard as a stage: pictures that are no use go no further, and are counted."""

from __future__ import annotations

from edge_sdk.errors import UsageError
from edge_sdk.guard.looks import fault_of_picture
from edge_sdk.guard.pace import Pace
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.parts import Refused, Running
from edge_sdk.processing.opencv import import_cv2
from edge_sdk.spec import InputLimits
from edge_sdk.spec.guard import check_limits


class Guard:
    """Lets good pictures through.

    Args:
        limits: what a picture must keep; blank ones are always refused. The rate is counted by the
            time that frames show, however fast a file is read; of stills, by when they are read.
        name: of the stage; the reports count what it refused by it.

    Raises:
        UsageError: limits that nothing can pass, or ranges, which are of arrays.
        UnavailableError: OpenCV is not installed.
    """

    def __init__(self, limits: InputLimits | None = None, *, name: str = "guard") -> None:
        self.name = name
        self._limits = check_limits(limits or InputLimits())
        if self._limits.ranges:
            raise UsageError(
                "A pipeline's frames are pictures, whose bytes are 0..255; a range is of arrays.",
                "Limit min_luma, max_luma, max_burnt and min_contrast instead.",
            )
        self._pace = Pace(self._limits.most_per_s)
        import_cv2("The input guard")

    def begin(self, running: Running) -> None:
        """Called by the pipeline."""
        self._pace.clear()

    def process(self, frame: Frame) -> Frame:
        """The frame itself. Raises Refused with the reason."""
        reason = fault_of_picture(frame.picture, self._limits, frame.colour)
        reason = reason or self._pace.fault(frame.stream, frame.moment_s)
        if reason:
            raise Refused(reason)
        return frame
