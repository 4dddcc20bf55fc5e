"""A transaction of a long job does as much as others can wait for."""

import time
from collections.abc import Callable

import pytest

from registry_sync.portions import Portion


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Portion, float], int]:
    """Let a portion's work last so many seconds; return the next one's size."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def work(portion: Portion, seconds: float) -> int:
        with portion.measured():
            now[0] += seconds
        return portion.size

    return work


def test_it_grows_to_what_it_may_be(lasting: Callable[[Portion, float], int]) -> None:
    portion = Portion(100)
    sizes = [portion.size, *(lasting(portion, 0.0) for _time in range(5))]
    assert sizes == [10, 20, 40, 80, 100, 100]


def test_it_shrinks_by_how_long_it_took(lasting: Callable[[Portion, float], int]) -> None:
    portion = Portion(100)
    portion.size = 100
    assert lasting(portion, 0.08) == 50
    assert lasting(portion, 60) == 10, "and is never so small that nothing comes of it"


def test_it_is_never_larger_than_it_may_be(lasting: Callable[[Portion, float], int]) -> None:
    portion = Portion(1)
    assert portion.size == 1
    assert lasting(portion, 60) == 1
    assert lasting(portion, 0.0) == 1
