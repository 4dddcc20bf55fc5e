"""A transaction of a long job does as much as others can wait for."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction

from registry_sync.portions import Portion

Lasting = Callable[..., int]


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch) -> Lasting:
    """Let a portion's work, and its commit, last so many seconds; return the next one's size."""
    now, commit = [0.0], [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    @contextmanager
    def atomic() -> Iterator[None]:
        now[0] += 100.0  # It waits for its turn.
        yield
        now[0] += commit[0]

    monkeypatch.setattr(transaction, "atomic", atomic)

    def work(portion: Portion, seconds: float, *, committing: float = 0.0) -> int:
        commit[0] = committing
        with portion.atomic():
            now[0] += seconds
        return portion.size

    return work


def test_it_grows_to_what_it_may_be(lasting: Lasting) -> None:
    portion = Portion(100)
    sizes = [portion.size, *(lasting(portion, 0.0) for _time in range(5))]
    assert sizes == [25, 50, 100, 100, 100, 100]


def test_it_shrinks_by_how_long_it_took(lasting: Lasting) -> None:
    portion = Portion(100)
    portion.size = 100
    assert lasting(portion, 0.08) == 50
    assert lasting(portion, 60) == 25, "and is never so small that nothing comes of it"


def test_it_does_not_only_commit_where_the_disk_is_slow(lasting: Lasting) -> None:
    portion = Portion(100)
    assert lasting(portion, 0.1, committing=0.2) == 50
    assert lasting(portion, 0.2, committing=0.2) == 50


def test_it_is_never_larger_than_it_may_be(lasting: Lasting) -> None:
    portion = Portion(1)
    assert portion.size == 1
    assert lasting(portion, 60) == 1
    assert lasting(portion, 0.0) == 1
