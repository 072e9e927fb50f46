"""Where to write names on a plot so that none covers another name or a point.

Greedy, in a fixed order: around each point the places near to far are tried, and the first free one
is taken. A name for which there is no room is given back, to be told by number below the plot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CHARACTER = 6.7
"""Width in pixels allowed for a character of a label, at the plot's font size; generous on average."""
HEIGHT = 14.0
CLEARANCE = 8.0
"""Half the side of the square around a point that no name may enter."""
DISTANCES = (11.0, 18.0, 27.0, 38.0, 50.0, 64.0)
DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))

Point = tuple[float, float]


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

    def within(self, other: Box) -> bool:
        """Whether all of this one is inside the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )

    @property
    def centre(self) -> Point:
        """Its middle."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Place:
    """Where a name stands.

    Attributes:
        box: the room it takes.
        leader: from the point to the name, where it stands so far off that one could wonder.
    """

    box: Box
    leader: tuple[Point, Point] | None


def place(points: Sequence[Point], names: Sequence[str], frame: Box) -> list[Place | None]:
    """A place for each name, in the order given; None where there is no room."""
    taken = [_around(point) for point in points]
    leaders: list[tuple[Point, Point]] = []
    places: list[Place | None] = []
    for point, name in zip(points, names, strict=True):
        found = next(
            (
                candidate
                for candidate in _candidates(point, CHARACTER * len(name))
                if candidate.box.within(frame)
                and not any(candidate.box.overlaps(box) for box in taken)
                and not any(_crosses(leader, candidate.box) for leader in leaders)
                and not (candidate.leader and _hits(candidate.leader, taken, _around(point)))
            ),
            None,
        )
        if found:
            taken.append(found.box)
            leaders += [found.leader] if found.leader else []
        places.append(found)
    return places


def _around(point: Point) -> Box:
    x, y = point
    return Box(x - CLEARANCE, y - CLEARANCE, x + CLEARANCE, y + CLEARANCE)


def _candidates(point: Point, width: float) -> list[Place]:
    x, y = point
    found = []
    for distance in DISTANCES:
        for across, down in DIRECTIONS:
            reach = distance * (0.7 if across and down else 1.0)
            left = x + across * reach - (width if across < 0 else 0 if across > 0 else width / 2)
            middle = y + down * (reach + (0 if across else 2))
            box = Box(left, middle - HEIGHT / 2, left + width, middle + HEIGHT / 2)
            nearest = (min(max(x, box.left), box.right), min(max(y, box.top), box.bottom))
            found.append(Place(box, (point, nearest) if distance > DISTANCES[0] else None))
    return found


def _hits(leader: tuple[Point, Point], boxes: Sequence[Box], own: Box) -> bool:
    return any(_crosses(leader, box) for box in boxes if box != own)


def _crosses(leader: tuple[Point, Point], box: Box) -> bool:
    """Whether the line passes through the box, by points two pixels apart or less."""
    (x0, y0), (x1, y1) = leader
    steps = max(2, round(max(abs(x1 - x0), abs(y1 - y0)) / 2))
    return any(
        box.left < x0 + (x1 - x0) * i / steps < box.right
        and box.top < y0 + (y1 - y0) * i / steps < box.bottom
        for i in range(1, steps)
    )
