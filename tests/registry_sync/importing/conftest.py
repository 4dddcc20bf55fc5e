"""A plain registry's storage, and a way to import it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.credentials import principal_of_user
from accounts.principals import Actor
from registry_sync import dispatch, tasks
from registry_sync.importing import engine
from registry_sync.importing.engine import Terms
from registry_sync.models import Execution
from tests.conftest import Cast

# Runs an import, and returns its execution.
Import = Callable[..., Execution]


@pytest.fixture
def storage(tmp_path: Path, settings: Any) -> Path:
    """The registry's directory."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def run_import(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Import:
    """Return a function that imports on the terms it is given."""
    monkeypatch.setattr(tasks, "wake", lambda ids: None)

    def run(source: str = engine.STORAGE, **terms: Any) -> Execution:
        execution = dispatch.start(
            engine.KIND,
            actor=Actor(principal_of_user(cast.admin)),
            parameters=engine.parameters_of(Terms(source, **terms)),
        )
        tasks.run_here(execution.tasks.get().pk)
        execution.refresh_from_db()
        return execution

    return run
