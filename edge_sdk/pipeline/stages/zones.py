"""Who is where: regions with their guests, lines with who crossed them.

A place is a point of the object, its foot (the middle of the box's lower edge) unless the centre is
asked for: people stand on the floor that a region is drawn on. An object counts once it
was detected in three frames: a detector's slip is nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from edge_sdk.errors import UsageError
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.stages.answers import answer
from edge_sdk.pipeline.stages.tracker import Track, Tracks
from edge_sdk.spec import Word

Point = tuple[float, float]

_COUNTS_FROM = 3
_FARTHEST = (-1.0, 2.0)
"""A zone may reach over the picture's edges; what lies farther away was meant in pixels."""


@dataclass(frozen=True)
class Region:
    """A polygon, its corners in fractions of the picture."""

    name: str
    corners: tuple[Point, ...]

    def holds(self, point: Point) -> bool:
        """Whether a point is inside: a ray to the right crosses an odd number of its edges."""
        x, y = point
        inside = False
        for (x1, y1), (x2, y2) in zip(
            self.corners, (*self.corners[1:], self.corners[0]), strict=True
        ):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
                inside = not inside
        return inside


@dataclass(frozen=True)
class Line:
    """From a point to another; who crosses it from its left to its right goes forward.

    Left is left for somebody who walks from ``start`` to ``end`` on the picture.
    """

    name: str
    start: Point
    end: Point

    def crossed(self, before: Point, after: Point) -> int:
        """1 forward, -1 back, 0 not at all, for one step."""
        from_side, to_side = self._side(before), self._side(after)
        if (from_side > 0) == (to_side > 0):
            return 0
        share = from_side / (from_side - to_side)
        meets = tuple(b + share * (a - b) for b, a in zip(before, after, strict=True))
        along = tuple(e - s for s, e in zip(self.start, self.end, strict=True))
        length = sum(each * each for each in along)
        place = sum((m - s) * d for m, s, d in zip(meets, self.start, along, strict=True)) / length
        if not 0 <= place <= 1:
            return 0
        return 1 if to_side > 0 else -1

    def _side(self, point: Point) -> float:
        (x1, y1), (x2, y2) = self.start, self.end
        return (x2 - x1) * (point[1] - y1) - (y2 - y1) * (point[0] - x1)


class ZoneCount(Word, frozen=True, kw_only=True):
    """One region or line, since the run began.

    Attributes:
        inside: ids of who is in the region now; empty for a line.
        forward: of a line, who crossed it forward; of a region, who came in.
        back: who crossed it back; who went out, or vanished in it.
    """

    inside: tuple[int, ...] = ()
    forward: int = 0
    back: int = 0


@dataclass
class _Counter:
    inside: set[int] = field(default_factory=set)
    forward: int = 0
    back: int = 0

    def word(self) -> ZoneCount:
        return ZoneCount(inside=tuple(sorted(self.inside)), forward=self.forward, back=self.back)


def _fault(zone: Region | Line) -> str:
    points = zone.corners if isinstance(zone, Region) else (zone.start, zone.end)
    if len(points) < 3 if isinstance(zone, Region) else zone.start == zone.end:
        return "is no area or no line"
    if not all(_FARTHEST[0] <= value <= _FARTHEST[1] for point in points for value in point):
        return "lies far outside: its points are fractions of the picture, 0..1"
    return ""


class Zones:
    """Counts by regions and lines; ``frame.answers[name]`` maps their names to ``ZoneCount``.

    Args:
        zones: regions and lines, each with its own name.
        of: the tracker's stage.
        name: of this stage and of its answers.
        point: which point of an object says where it is.

    Raises:
        UsageError: two of one name, a region of fewer than three corners, a line without length,
            pixels for fractions.
    """

    inline = True

    def __init__(
        self,
        zones: Sequence[Region | Line],
        of: str = "tracks",
        name: str = "zones",
        *,
        point: Literal["foot", "centre"] = "foot",
    ) -> None:
        self.name = name
        self._of, self._zones, self._point = of, tuple(zones), point
        names = [zone.name for zone in zones]
        for zone in zones:
            if fault := _fault(zone) or ("is there twice" if names.count(zone.name) > 1 else ""):
                raise UsageError(
                    f"The zone {zone.name!r} {fault}.",
                    "Region('door', ((0, 0), (.5, 0), (.5, 1))), Line('gate', (0, .5), (1, .5))",
                )
        self._counters: dict[str, dict[str, _Counter]] = {}
        self._places: dict[str, dict[int, Point]] = {}

    def process(self, frame: Frame) -> Frame:
        """The frame with the counts."""
        found = answer(frame, self._of, Tracks)
        counters = self._counters.setdefault(
            frame.stream, {zone.name: _Counter() for zone in self._zones}
        )
        before = self._places.get(frame.stream, {})
        now = {each.id: self._place(each) for each in found.tracks if each.seen >= _COUNTS_FROM}
        for zone in self._zones:
            counter = counters[zone.name]
            if isinstance(zone, Region):
                inside = {each for each, place in now.items() if zone.holds(place)}
                counter.forward += len(inside - counter.inside)
                counter.back += len(counter.inside - inside)
                counter.inside = inside
                continue
            for each, place in now.items():
                way = zone.crossed(before[each], place) if each in before else 0
                counter.forward += way > 0
                counter.back += way < 0
        self._places[frame.stream] = now
        return frame.answered(self.name, {name: each.word() for name, each in counters.items()})

    def _place(self, track: Track) -> Point:
        box = track.box
        down = box.bottom if self._point == "foot" else (box.top + box.bottom) / 2
        return (box.left + box.right) / 2, down
