"""Where to write names on a plot so that none covers another name or a point.

Greedy, in a fixed order: around each point the places near to far are tried, and the first free one
is taken. A name for which there is no room becomes a number, to be explained below the plot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CHARACTER = 6.7
"""Pixels allowed for a character of a label, at the plot's font size; generous on average."""
HEIGHT = 14.0
CLEARANCE = 8.0
"""Half the side of the square around a point that no name may enter."""
DISTANCES = (11.0, 18.0, 27.0, 38.0, 50.0, 64.0, 82.0, 104.0, 130.0)
NEAR = 18.0
"""A name farther from its point than this gets a line to it."""
DIRECTIONS = (
    *((1, 0), (-1, 0), (0, -1), (0, 1)),
    *((1, -1), (-1, -1), (1, 1), (-1, 1)),
    *((2, -1), (-2, -1), (2, 1), (-2, 1)),
)
ASLANT, ON_LINE, ASTRAY = 4.0, 14.0, 60.0
"""What a blemish costs, in pixels that a name would sooner stand farther off: to be neither beside
nor above its point, to lie on a line, to be nearer to a point that is not its own."""
_ANCHORS: dict[int, Literal["start", "middle", "end"]] = {-1: "end", 0: "middle", 1: "start"}

Point = tuple[float, float]
Leader = tuple[Point, Point] | None


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether they share more than an edge."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def distance(self, point: Point) -> float:
        """From the point to the nearest of its own; 0 inside."""
        x, y = self.nearest(point)
        return math.hypot(x - point[0], y - point[1])

    def nearest(self, point: Point) -> Point:
        """Its own point that is nearest to the given one."""
        x, y = point
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)

    def within(self, other: Box) -> bool:
        """Whether all of this one is inside the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True)
class Place:
    """Where a name stands.

    Attributes:
        box: the room it takes.
        anchor: which part of the name stands at ``x``: ``start``, ``middle`` or ``end``.
        leader: a line from the point's edge to the name, where that stands far off; else None.
        cost: how much is against it, all else being free.
    """

    box: Box
    anchor: Literal["start", "middle", "end"]
    leader: Leader
    cost: float

    @property
    def x(self) -> float:
        """Where the name is anchored."""
        box = self.box
        return {"start": box.left, "middle": (box.left + box.right) / 2, "end": box.right}[
            self.anchor
        ]


@dataclass(frozen=True)
class Label:
    """A name as it is written.

    Attributes:
        text: the name, or its number where it had no room.
        numbered: whether it is a number.
    """

    text: str
    place: Place
    numbered: bool = False


def place(
    points: Sequence[Point], names: Sequence[str], frame: Box, lines: Sequence[Box] = ()
) -> list[Label]:
    """A label for each name, in the order given; numbers count from 1.

    Args:
        points: in pixels.
        names: one for each point; the first choose first.
        frame: no name leaves it.
        lines: what a name may lie on, if there is no better place.
    """
    room = _Room(points, frame, lines)
    labels: dict[int, Label] = {}
    for index, (point, name) in enumerate(zip(points, names, strict=True)):
        if found := room.take(point, name):
            labels[index] = Label(name, found)
    without = [index for index in range(len(points)) if index not in labels]
    for number, index in enumerate(without, 1):
        text = str(number)
        labels[index] = Label(
            text, room.take(points[index], text) or room.force(points[index]), True
        )
    return [labels[index] for index in range(len(points))]


class _Room:
    """What is free of a plot while labels are being placed."""

    def __init__(self, points: Sequence[Point], frame: Box, lines: Sequence[Box]) -> None:
        self._points = points
        self._frame = frame
        self._lines = lines
        self._taken = [_around(point) for point in points]
        self._leaders: list[Leader] = []

    def take(self, point: Point, name: str) -> Place | None:
        """The best free place for a name at a point, now taken; None if there is none."""
        free = [c for c in _candidates(point, CHARACTER * len(name)) if self._is_free(c)]
        best = min(free, key=lambda c: self._cost(c, point), default=None)
        if best:
            self._taken.append(best.box)
            self._leaders.append(best.leader)
        return best

    def force(self, point: Point) -> Place:
        """A place for a number above the point, over other points but over no other label."""
        x, y = point
        box = Box(x - CHARACTER, y - CLEARANCE - HEIGHT, x + CHARACTER, y - CLEARANCE)
        labels = self._taken[len(self._points) :]
        while any(box.overlaps(label) for label in labels):
            box = Box(box.left, box.top - 2, box.right, box.bottom - 2)
        self._taken.append(box)
        return Place(box, "middle", None, math.inf)

    def _is_free(self, candidate: Place) -> bool:
        return (
            candidate.box.within(self._frame)
            and not any(candidate.box.overlaps(box) for box in self._taken)
            and not any(_crosses(leader, candidate.box) for leader in self._leaders)
            and not any(_crosses(candidate.leader, box) for box in self._taken)
        )

    def _cost(self, candidate: Place, point: Point) -> float:
        own = candidate.box.distance(point)
        astray = candidate.leader is None and any(
            candidate.box.distance(other) < own - 1 for other in self._points
        )
        on_line = any(candidate.box.overlaps(line) for line in self._lines)
        return candidate.cost + ON_LINE * on_line + ASTRAY * astray


def _around(point: Point) -> Box:
    x, y = point
    return Box(x - CLEARANCE, y - CLEARANCE, x + CLEARANCE, y + CLEARANCE)


def _candidates(point: Point, width: float) -> list[Place]:
    x, y = point
    found = []
    for distance in DISTANCES:
        for across, down in DIRECTIONS:
            reach = distance / math.hypot(across, down)
            left = x + across * reach - (width if across < 0 else 0 if across > 0 else width / 2)
            middle = y + down * (reach + (0 if across else 2))
            box = Box(left, middle - HEIGHT / 2, left + width, middle + HEIGHT / 2)
            found.append(
                Place(
                    box=box,
                    anchor=_ANCHORS[(across > 0) - (across < 0)],
                    leader=_leader(point, box) if distance > NEAR else None,
                    cost=distance + (ASLANT if across and down else 0.0),
                )
            )
    return found


def _leader(point: Point, box: Box) -> Leader:
    """From just outside the point's own square, since its neighbours may crowd it there."""
    (x, y), margin = point, CLEARANCE + 1
    to_x, to_y = box.nearest(point)
    length = math.hypot(to_x - x, to_y - y)
    if length <= margin:
        return None
    part = margin / length
    return (x + (to_x - x) * part, y + (to_y - y) * part), (to_x, to_y)


def _crosses(leader: Leader, box: Box) -> bool:
    """Whether the line passes through the box, looked at every two pixels or closer."""
    if leader is None:
        return False
    (x0, y0), (x1, y1) = leader
    steps = max(2, math.ceil(max(abs(x1 - x0), abs(y1 - y0)) / 2))
    return any(
        box.left < x0 + (x1 - x0) * i / steps < box.right
        and box.top < y0 + (y1 - y0) * i / steps < box.bottom
        for i in range(steps)
    )
