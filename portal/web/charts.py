"""Charts that the server draws: areas for sizes, columns for days. Each has its figures as text."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from registry_sync.push_days import PushesOfDay
from registry_sync.statistics import Day

# So many tiles are told apart; the rest is one.
MOST_TILES = 9
# Narrower or lower than this, in per cent, a tile has no writing.
_WRITABLE = 9.0


@dataclass(frozen=True, slots=True)
class Part:
    """What a tile stands for."""

    name: str
    size: int
    url: str = ""
    # What else is said of it, and whether that is a warning.
    note: str = ""
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a map, in per cent of its width and height."""

    part: Part
    x: float
    y: float
    width: float
    height: float
    # Its size in per cent of the largest one's, for the list that phones show.
    share: int

    @property
    def has_words(self) -> bool:
        """Whether there is room to write in it."""
        return self.width >= _WRITABLE and self.height >= _WRITABLE

    @property
    def tone(self) -> str:
        """Its class: the larger, the darker."""
        if self.part.is_warning:
            return "is-warn"
        return "is-1" if self.share > 66 else "is-2" if self.share > 33 else ""


def treemap(parts: Sequence[Part], others: str, *, ratio: float = 2.6) -> list[Tile]:
    """Lay parts out by size, the largest first, as near to squares as they get.

    ``ratio`` is the map's width by its height. What is beyond ``MOST_TILES`` becomes one tile,
    called ``others``.
    """
    ordered = sorted((part for part in parts if part.size > 0), key=lambda part: -part.size)
    if len(ordered) > MOST_TILES:
        rest = sum(part.size for part in ordered[MOST_TILES:])
        ordered = [*ordered[:MOST_TILES], Part(others, rest)]
    total = sum(part.size for part in ordered)
    if not total:
        return []
    largest = max(part.size for part in ordered)
    # Areas in a rectangle of the map's proportions, written down in per cent of it.
    width, height = ratio * 100, 100.0
    areas = [part.size / total * width * height for part in ordered]
    tiles = []
    for part, (x, y, wide, high) in zip(ordered, _squarified(areas, width, height), strict=True):
        share = round(100 * part.size / largest)
        left, across = round(x / ratio, 2), round(wide / ratio, 2)
        tiles.append(Tile(part, left, round(y, 2), across, round(high, 2), share))
    return tiles


Box = tuple[float, float, float, float]


def _squarified(areas: Sequence[float], width: float, height: float) -> list[Box]:
    """Fill a rectangle strip by strip; a strip takes areas while its tiles become squarer."""
    boxes: list[Box] = []
    x = y = 0.0
    left = list(areas)
    while left:
        short = min(width - x, height - y)
        count = 1
        while count < len(left) and _worst(left[: count + 1], short) <= _worst(left[:count], short):
            count += 1
        strip, left = left[:count], left[count:]
        thick = sum(strip) / short if short else 0.0
        at = 0.0
        for area in strip:
            long = area / thick if thick else 0.0
            is_column = width - x >= height - y
            boxes.append((x, y + at, thick, long) if is_column else (x + at, y, long, thick))
            at += long
        if width - x >= height - y:
            x += thick
        else:
            y += thick
    return boxes


def _worst(areas: Sequence[float], side: float) -> float:
    """How far the least square tile of a strip along this side is from a square."""
    total = sum(areas)
    return max(
        max(side * side * area / total**2, total**2 / (side * side * area)) for area in areas
    )


@dataclass(frozen=True, slots=True)
class Column:
    """One day of a chart: where it stands and how high it is, in per cent."""

    day: datetime.date
    count: int
    # By scanners and replication, which no column shows.
    automatic: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Columns:
    """A chart of days, with its sum and its highest day."""

    days: list[Column]
    total: int
    most: int


@dataclass(frozen=True, slots=True)
class Stack:
    """One day of a chart in two parts, the lower one drawn from the bottom."""

    day: datetime.date
    lower: int
    upper: int
    x: float
    width: float
    lower_y: float
    lower_height: float
    upper_y: float
    upper_height: float

    @property
    def count(self) -> int:
        """Both parts."""
        return self.lower + self.upper


@dataclass(frozen=True, slots=True)
class Stacks:
    """A chart of days in two parts, with its sums and its highest day."""

    days: list[Stack]
    lower: int
    upper: int
    most: int

    @property
    def total(self) -> int:
        """Everything."""
        return self.lower + self.upper


def push_columns(days: Sequence[PushesOfDay]) -> Stacks:
    """Lay days of pushes out side by side, the robots' part upon the people's."""
    return stacks([(day.day, day.count - day.by_robots, day.by_robots) for day in days])


def stacks(days: Sequence[tuple[datetime.date, int, int]]) -> Stacks:
    """Lay days out side by side, each with its upper part upon the lower; the most is 100 high."""
    most = max((lower + upper for _day, lower, upper in days), default=0)
    step = 100 / max(1, len(days))
    found = []
    for number, (day, lower, upper) in enumerate(days):
        low, high = (round(100 * part / most, 2) if most else 0 for part in (lower, upper))
        x, width = round(number * step, 3), round(step * 0.7, 3)
        tops = round(100 - low, 2), round(100 - low - high, 2)
        found.append(Stack(day, lower, upper, x, width, tops[0], low, tops[1], high))
    lowers, uppers = sum(one.lower for one in found), sum(one.upper for one in found)
    return Stacks(found, lowers, uppers, most)


@dataclass(frozen=True, slots=True)
class Spark:
    """A small line without axes, as the points of an SVG of 84 by 24."""

    total: int
    line: str
    area: str


def spark(counts: Sequence[int]) -> Spark:
    """Draw counts as a line, the highest reaching the top."""
    most = max(counts, default=0)
    step = 84 / max(1, len(counts) - 1)
    points = [
        f"{number * step:.1f},{23 - 22 * count / most if most else 23:.1f}"
        for number, count in enumerate(counts)
    ]
    line = " ".join(points)
    return Spark(sum(counts), line, f"0,24 {line} 84,24")


def pull_columns(days: Sequence[Day]) -> Columns:
    """Lay days of pulls out side by side, the highest reaching the top."""
    most = max((day.count for day in days), default=0)
    step = 100 / max(1, len(days))
    found = []
    for number, day in enumerate(days):
        height = round(100 * day.count / most, 2) if most else 0
        x, width = round(number * step, 3), round(step * 0.7, 3)
        y = round(100 - height, 2)
        found.append(Column(day.day, day.count, day.automatic, x, y, width, height))
    return Columns(found, sum(day.count for day in days), most)
