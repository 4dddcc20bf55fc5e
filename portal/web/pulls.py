"""How a page draws pulls: a bar for each day, and the same as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from registry_sync import statistics
from registry_sync.models import Repository
from registry_sync.statistics import Day, Pulls

# In the drawing's own units.
WIDTH, HEIGHT = 300, 60
_GAP = 2
# A day with any pull at all is seen beside one with a thousand.
_LEAST = 2


@dataclass(frozen=True, slots=True)
class Bar:
    """One day's bar, and what it stands for."""

    day: Day
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Chart:
    """The last days of a repository."""

    bars: list[Bar]
    total: int
    last: Pulls | None = None

    @property
    def days(self) -> int:
        """How many there are."""
        return len(self.bars)

    @property
    def rows(self) -> list[Day]:
        """The days on which something was pulled, the newest first."""
        return [bar.day for bar in reversed(self.bars) if bar.day.count or bar.day.automatic]


def of_repository(repository: Repository) -> Chart:
    """Return a repository's last 30 days, and who pulled last."""
    last = statistics.of_repositories([repository.pk]).get(repository.pk)
    return _chart(statistics.days_of_repository(repository.pk), last)


def _chart(days: Sequence[Day], last: Pulls | None) -> Chart:
    most = max((day.count for day in days), default=0)
    step = WIDTH // max(len(days), 1)
    bars = []
    for number, day in enumerate(days):
        height = max(_LEAST, round(HEIGHT * day.count / most)) if day.count else 0
        bars.append(Bar(day, number * step, HEIGHT - height, step - _GAP, height))
    return Chart(bars, sum(day.count for day in days), last)
