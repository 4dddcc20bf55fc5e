"""Deleting tags by a filter as a run, and taking the run back."""

import pytest

from accounts.errors import BadRequest
from accounts.models import Project, User
from registry_sync import bulk, executions, tasks
from registry_sync.bulk import Selection
from registry_sync.models import Execution, Repository, State, Tag, TagEvent, Task
from tests.factories import make_image, make_repository, push_image
from tests.registry_sync.jobs import Broker, actor_of
from tests.registry_sync.trashing import recount, tags_of


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


def perform(execution: Execution) -> Task:
    """Do an execution's task as a worker does."""
    tasks.run_task(execution.tasks.get().pk)
    return execution.tasks.get()


def order(repository: Repository, user: User, query: str, *, with_images: bool = True) -> Execution:
    """Order a deletion."""
    parameters = bulk.parameters_of(repository, Selection(query), with_images=with_images)
    return executions.create(
        bulk.DELETION,
        actor=actor_of(user),
        policy_id=repository.pk,
        project_id=repository.project_id,
        parameters=parameters,
    )


def undo(execution: Execution, user: User) -> Task:
    """Order the undoing of a run, and do it."""
    return perform(
        executions.create(
            bulk.UNDO,
            actor=actor_of(user),
            policy_id=execution.pk,
            project_id=execution.project_id,
            parameters={"execution": execution.pk},
        )
    )


@pytest.fixture
def filled(app: Repository) -> Repository:
    """Forty tags, ``pr-0`` to ``v19``; ``pr-7`` and ``v7`` are one image."""
    shared = make_image()
    for number in range(20):
        for prefix in ("pr-", "v"):
            image = shared if number == 7 else make_image()
            push_image(app, image, tag=f"{prefix}{number}")
    return app


def test_what_matches_goes_and_undo_brings_it_back(
    filled: Repository, alice: User, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 6)
    was, used = tags_of(filled), recount(filled.project)
    execution = order(filled, alice, "pr-*")
    task = perform(execution)
    assert (task.state, task.done, task.total) == (State.SUCCEEDED, 20, 20)
    assert task.result["images"] == 19, "pr-7's image has another tag"
    assert set(tags_of(filled)) == {f"v{number}" for number in range(20)}
    assert recount(filled.project) == used - task.result["freed_bytes"]
    events = TagEvent.objects.filter(execution_id=execution.pk)
    assert set(events.values_list("action", "actor_name")) == {("delete", "alice")}
    task = undo(execution, alice)
    assert (task.result["restored"], task.result["refused"]) == (20, 0)
    assert tags_of(filled) == was
    assert recount(filled.project) == used


def test_the_preview_says_what_the_run_does(
    filled: Repository, alice: User, broker: Broker
) -> None:
    shown = bulk.preview(filled, Selection("pr-*"), with_images=True)
    result = perform(order(filled, alice, "pr-*")).result
    assert (shown.tags, shown.images, shown.freed_bytes) == (
        result["tags"],
        result["images"],
        result["freed_bytes"],
    )


def test_what_is_pushed_after_the_order_stays(
    filled: Repository, alice: User, broker: Broker
) -> None:
    execution = order(filled, alice, "pr-*")
    push_image(filled, tag="pr-3")
    push_image(filled, tag="pr-new")
    perform(execution)
    assert {"pr-3", "pr-new"} == {name for name in tags_of(filled) if name.startswith("pr-")}


def test_one_that_dies_in_the_middle_goes_on(
    filled: Repository, alice: User, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 6)
    was = tags_of(filled)
    execution = order(filled, alice, "pr-*")
    calls: list[str] = []

    def third(name: str) -> None:
        calls.append(name)
        if calls.count("bulk.batch") == 3 and name == "bulk.batch":
            raise ConnectionError

    monkeypatch.setattr(bulk, "hit", third)
    assert perform(execution).state == State.FAILED
    assert len(tags_of(filled)) == 28
    # What it did is one run; the undo of what was done is whole.
    assert undo(execution, alice).result["restored"] == 12
    assert tags_of(filled) == was


def test_undo_says_what_it_cannot_bring_back(
    filled: Repository, alice: User, broker: Broker
) -> None:
    execution = order(filled, alice, "pr-*")
    perform(execution)
    push_image(filled, tag="pr-1")
    pushed = tags_of(filled)["pr-1"]
    task = undo(execution, alice)
    assert (task.result["restored"], task.result["refused"]) == (19, 1)
    assert "pr-1" in "".join(task.logs.values_list("text", flat=True))
    assert tags_of(filled)["pr-1"] == pushed


def test_names_instead_of_a_filter(filled: Repository, alice: User, broker: Broker) -> None:
    parameters = bulk.parameters_of(filled, Selection(names=("v1", "v2")), with_images=False)
    execution = executions.create(bulk.DELETION, actor=actor_of(alice), parameters=parameters)
    perform(execution)
    assert Tag.objects.count() == 38


@pytest.mark.parametrize(
    "selection",
    [
        Selection(""),
        Selection("  "),
        Selection("x" * 257),
        Selection("a\0"),
        Selection(names=("a",) * 1001),
    ],
)
def test_what_is_refused(app: Repository, selection: Selection) -> None:
    with pytest.raises(BadRequest):
        bulk.parameters_of(app, selection, with_images=True)


def test_tags_of_tools_are_left_to_their_images(
    app: Repository, alice: User, broker: Broker
) -> None:
    image = make_image()
    push_image(app, image, tag="1")
    signature = f"{image.digest.replace(':', '-')}.sig"
    push_image(app, tag=signature)
    shown = bulk.preview(app, Selection("*"), with_images=True)
    assert shown.names == ["1"]
    perform(order(app, alice, "*"))
    assert tags_of(app) == {}
