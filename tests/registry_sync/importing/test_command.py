"""`manage.py import_registry`: what it says, and that it goes on with what was killed."""

import datetime
import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.credentials import principal_of_user
from accounts.principals import Actor
from registry_sync import dispatch, tasks
from registry_sync.importing import engine
from registry_sync.models import Artifact, Execution, State, Task
from tests.conftest import Cast
from tests.factories import make_image
from tests.registry_sync.plain_storage import put_image

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake", lambda ids: None)


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("import_registry", "--here", *arguments, stdout=out)
    return out.getvalue()


def test_it_says_what_came_in_and_what_was_left(storage: Path, cast: Cast) -> None:
    put_image(storage, "team/app", make_image("one"), "1.0")
    put_image(storage, "alpine", make_image("two"), "3")
    said = run()
    assert "done: 1 images" in said
    assert "left out repository alpine: it has no project component" in said
    assert Artifact.objects.count() == 1


def test_it_goes_on_with_one_that_was_killed(storage: Path, cast: Cast) -> None:
    put_image(storage, "team/app", make_image("one"), "1.0")
    killed = dispatch.start(
        engine.KIND,
        actor=Actor(principal_of_user(cast.admin)),
        parameters=engine.parameters_of(engine.Terms(engine.STORAGE)),
    )
    long_ago = timezone.now() - datetime.timedelta(hours=1)
    Task.objects.update(state=State.RUNNING, lease_until=long_ago, worker="died:1", attempts=1)
    Execution.objects.update(state=State.RUNNING)
    assert f"execution {killed.pk}\n" in run()
    killed.refresh_from_db()
    assert killed.state == State.SUCCEEDED


def test_one_that_runs_is_left_to_itself(storage: Path, cast: Cast) -> None:
    dispatch.start(
        engine.KIND,
        actor=Actor(principal_of_user(cast.admin)),
        parameters=engine.parameters_of(engine.Terms(engine.STORAGE)),
    )
    soon = timezone.now() + datetime.timedelta(hours=1)
    Task.objects.update(state=State.RUNNING, lease_until=soon, worker="other:1")
    with pytest.raises(CommandError, match="running already"):
        run()


@pytest.mark.parametrize("arguments", [("--user", "nobody"), ("--map", "x"), ("--project", "api")])
def test_what_cannot_be_meant_is_refused(storage: Path, cast: Cast, arguments: tuple[str]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
    assert not Execution.objects.exists()
