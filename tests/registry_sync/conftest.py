"""A broker and an engine of the tests' own."""

from collections.abc import Iterator

import pytest

from registry_sync import runs, tasks
from registry_sync.executions import Kind
from tests.registry_sync.jobs import Broker, Engine, UseEngine


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """A broker."""
    broker = Broker()
    monkeypatch.setattr(tasks.run_task, "apply_async", broker.send)
    return broker


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[UseEngine]:
    """Return a function that makes ``test`` a kind of job with this engine."""

    def use(function: Engine, **terms: bool) -> None:
        monkeypatch.setitem(tasks.KINDS, "test", Kind(function, **{"is_exclusive": False, **terms}))

    use(lambda run: None)
    yield use
    # Whatever a test did, no later engine thinks that its worker ends.
    runs.shutting_down.clear()
