"""What a policy may say, and that its preview and its run say the same."""

from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.errors import BadRequest
from accounts.models import Project
from registry_sync.models import (
    ImmutableRule,
    Repository,
    RetentionPolicy,
    State,
)
from registry_sync.retention_plan import Totals, judged
from registry_sync.retention_policies import reading_of
from tests.factories import make_image, make_repository, push_image
from tests.registry_sync.jobs import Broker
from tests.registry_sync.retaining import age, confirmed, perform, policy_of, rule
from tests.registry_sync.trashing import recount, tags_of


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([rule("latestPushedK", 0)], "whole number"),
        ([rule("latestPushedK", 10**7)], "whole number"),
        ([rule("unknown", 1)], "no template"),
        ([rule("always", tags="{a")], "not closed"),
        ([rule("always", tags="")], "empty"),
        ([rule("always")] * 2, "the same as rule 1"),
        ([rule("always"), rule("nothing")], "contradicts rule 1"),
        ([rule("latestPushedK", n + 1) for n in range(16)], "at most 15"),
        ([rule("always", action="delete")], "retain"),
        ([rule("always", tag_selectors=[{"decoration": "excludes", "pattern": "**"}])], "nothing"),
        ([rule("always", tag_selectors=[{"decoration": "likes", "pattern": "a"}])], "matches"),
        ([rule("always", tag_selectors=[{"kind": "label"}])], "doublestar"),
        ([rule("always", tag_selectors="x")], "list"),
        ([rule("always", scope_selectors={"tag": []})], "repository only"),
        (["always"], "object"),
    ],
)
def test_policies_that_are_refused(team: Project, rules: list[Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words) as caught:
        policy_of(team, *rules)
    assert caught.value.field == "rules"
    assert not RetentionPolicy.objects.exists()


choices = st.sampled_from(
    [
        rule("latestPushedK", 1),
        rule("latestPushedK", 2, "v*"),
        rule("nDaysSinceLastPush", 10, "pr-*"),
        rule("nothing", tags="pr-*"),
        rule("always", tags="*-1"),
        rule("latestPatchesN", 1),
    ]
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rules=st.lists(choices, max_size=3, unique_by=str),
    is_harbor=st.booleans(),
    held=st.sampled_from(["", "v4", "pr-4"]),
)
def test_preview_and_run_agree(
    team: Project, broker: Broker, rules: list[dict[str, Any]], *, is_harbor: bool, held: str
) -> None:
    app = make_repository(team, f"app{Repository.objects.count()}")
    ImmutableRule.objects.all().delete()
    RetentionPolicy.objects.all().delete()
    if held:
        ImmutableRule.objects.create(project=team, tag_pattern=held)
    shared = make_image()
    for number in range(1, 5):
        push_image(app, shared if number == 2 else make_image(), tag=f"v{number}")
        push_image(app, shared if number == 2 else make_image(), tag=f"pr-{number}")
        age(app, **{f"v{number}": 5 * number, f"pr_{number}": 5 * number})
    policy = confirmed(policy_of(team, *rules, is_harbor=is_harbor))
    totals, expected = Totals(), set(tags_of(app))
    for part in judged(team.pk, reading_of(policy), timezone.now()):
        totals.count(part)
        if part.repository == app:
            expected -= {n for v in part.verdicts if not v.is_kept for n in v.image.tags}
    task = perform(policy)
    assert (task.state, task.result["tags"]) == (State.SUCCEEDED, totals.removed)
    assert set(tags_of(app)) == expected
    assert not held or held in tags_of(app)
    recount(team)
