"""Immutable rules: what they hold, at every door by which a tag could change."""

from collections.abc import Callable

import pytest

from accounts.errors import PreconditionFailed, Unavailable
from accounts.models import Project, User
from accounts.principals import SYSTEM_ACTOR
from registry_sync import (
    bulk,
    executions,
    immutability,
    immutable_rules,
    project_removal,
    restoring,
    tag_deletions,
    trash,
)
from registry_sync.bulk import Selection
from registry_sync.immutability import Rule
from registry_sync.models import Artifact, ImmutableRule, Repository, Tag, TagEvent
from registry_sync.models.immutability import Match
from tests.factories import descriptor, make_image, make_index, make_repository, push_image
from tests.registry_sync.jobs import Broker, actor_of
from tests.registry_sync.test_bulk import perform
from tests.registry_sync.trashing import recount, tags_of


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``, whose versions are held from now on."""
    return make_repository(team)


@pytest.fixture
def held(app: Repository) -> Repository:
    """The same with a rule: tags that begin with v and a digit are immutable."""
    immutable_rules.create(app.project, rule=Rule("v[0-9]*"), actor=SYSTEM_ACTOR)
    return app


class TestMatching:
    @pytest.mark.parametrize(
        ("pattern", "name", "is_held"),
        [
            ("v*", "v1.0", True),
            ("v*", "rev1", False),
            # The whole name counts, from its beginning to its end.
            ("[0-9]*", "redis", False),
            ("[0-9]*", "7-redis", True),
            ("1.0", "1x0", False),
            ("1.0", "1.0.1", False),
            ("latest", "latest", True),
            ("{latest,v?}", "v1", True),
            ("{latest,v?}", "v10", False),
            ("V1", "v1", False),
            ("**", "anything", True),
            ("*", ".hidden", True),
            ("!v1", "v2", False),
            ("[^a]*", "b", True),
        ],
    )
    def test_of_tags(self, pattern: str, name: str, is_held: bool) -> None:  # noqa: FBT001
        assert Rule(pattern).holds("app", name) is is_held
        assert Rule(pattern, Match.EXCLUDES).holds("app", name) is not is_held

    @pytest.mark.parametrize(
        ("pattern", "path", "is_covered"),
        [
            ("**", "app", True),
            ("**", "a/b/c", True),
            ("*", "a/b", False),
            ("a/**", "a/b/c", True),
            ("a/*", "a/b/c", False),
            ("**/app", "x/y/app", True),
            ("{app,web}", "web", True),
            ("ap", "app", False),
        ],
    )
    def test_of_repositories(self, pattern: str, path: str, is_covered: bool) -> None:  # noqa: FBT001
        assert Rule("**", repository_pattern=pattern).holds(path, "v1") is is_covered
        other = Rule("**", repository_pattern=pattern, repository_match=Match.EXCLUDES)
        assert other.holds(path, "v1") is not is_covered

    @pytest.mark.parametrize("end", ["", ".sig", ".att", ".sbom", ".else"])
    def test_what_tools_tie_to_a_digest_follows_it(self, end: str) -> None:
        assert not Rule("**").holds("app", f"sha256-{'a' * 64}{end}")
        assert Rule("**").holds("app", f"sha256-{'a' * 63}{end}")

    @pytest.mark.parametrize("text", ["", "a\0b", "{1..100000}"])
    def test_what_is_no_pattern(self, text: str) -> None:
        assert not immutability.is_pattern(text)

    def test_it_says_itself_in_words(self) -> None:
        assert str(Rule("v*")) == "in every repository, tags that match v*"
        rule = Rule("*", repository_pattern="a/*", repository_match=Match.EXCLUDES)
        assert str(rule) == "in repositories that do not match a/*, every tag"


Door = Callable[[Repository, Artifact], object]
DOORS: dict[str, Door] = {
    "push": lambda app, artifact: push_image(app, tag="v1"),
    "delete the tag": lambda app, artifact: trash.delete_tag(app, "v1", actor=SYSTEM_ACTOR),
    "delete by digest": lambda app, artifact: trash.delete_artifact(
        app, artifact.digest, actor=SYSTEM_ACTOR
    ),
    "delete the repository": lambda app, artifact: trash.delete_repository(app, actor=SYSTEM_ACTOR),
    "delete the project": lambda app, artifact: project_removal.remove(
        app.project, actor=SYSTEM_ACTOR
    ),
}


class TestDoors:
    @pytest.mark.parametrize("name", DOORS)
    def test_is_closed(self, held: Repository, name: str) -> None:
        artifact = push_image(held, tag="v1")
        push_image(held, artifact_image := make_image(), tag="dev")
        push_image(held, artifact_image, tag="other")
        before, used, moves = tags_of(held), recount(held.project), TagEvent.objects.count()
        with pytest.raises(PreconditionFailed, match="immutable"):
            DOORS[name](held, artifact)
        assert (tags_of(held), recount(held.project)) == (before, used)
        assert TagEvent.objects.count() == moves
        assert Project.objects.alive().filter(pk=held.project_id).exists()

    def test_the_message_names_the_rule(self, held: Repository) -> None:
        artifact = push_image(held, tag="v1")
        with pytest.raises(PreconditionFailed) as refused:
            push_image(held, tag="v1")
        assert str(refused.value) == (
            "the tag v1 is immutable (in every repository, tags that match v[0-9]*) "
            f"and stays at {artifact.digest[:19]}"
        )

    def test_the_same_digest_again_and_new_names_are_fine(self, held: Repository) -> None:
        image = make_image()
        push_image(held, image, tag="v1")
        push_image(held, image, tag="v1")
        push_image(held, tag="v2")
        push_image(held, image, tag="dev")
        push_image(held, tag="dev")
        trash.delete_tag(held, "dev", actor=SYSTEM_ACTOR)
        assert set(tags_of(held)) == {"v1", "v2"}

    def test_by_digest_while_one_of_its_tags_is_held(self, held: Repository) -> None:
        image = make_image()
        push_image(held, image, tag="dev")
        push_image(held, image, tag="v1")
        with pytest.raises(PreconditionFailed, match="v1"):
            trash.delete_artifact(held, image.digest, actor=SYSTEM_ACTOR)
        assert set(tags_of(held)) == {"dev", "v1"}

    def test_an_accessory_with_a_held_tag_holds_its_subject(self, held: Repository) -> None:
        image = make_image()
        push_image(held, image, tag="dev")
        bill = make_image(subject=descriptor(image.content, image.media_type))
        push_image(held, bill, tag="v1-sbom")
        with pytest.raises(PreconditionFailed, match="v1-sbom"):
            trash.delete_artifact(held, image.digest, actor=SYSTEM_ACTOR)

    def test_signatures_can_be_added_and_stay_with_their_image(self, held: Repository) -> None:
        image = make_image()
        push_image(held, image, tag="v1")
        name = f"{image.digest.replace(':', '-')}.sig"
        push_image(held, tag=name)
        push_image(held, signature := make_image(), tag=name)
        subject = descriptor(image.content, image.media_type)
        push_image(held, referrer := make_image(subject=subject), tag="")
        with pytest.raises(PreconditionFailed, match="belongs to the image of v1"):
            trash.delete_tag(held, name, actor=SYSTEM_ACTOR)
        for digest in (signature.digest, referrer.digest):
            with pytest.raises(PreconditionFailed, match="belongs to the image of v1"):
                trash.delete_artifact(held, digest, actor=SYSTEM_ACTOR)
        ImmutableRule.objects.all().delete()
        trash.delete_artifact(held, image.digest, actor=SYSTEM_ACTOR)
        assert not tags_of(held)

    def test_a_signature_of_an_image_that_is_free_is_free(self, held: Repository) -> None:
        image = make_image()
        push_image(held, image, tag="dev")
        name = f"{image.digest.replace(':', '-')}.sig"
        push_image(held, tag=name)
        trash.delete_tag(held, name, actor=SYSTEM_ACTOR)
        assert set(tags_of(held)) == {"dev"}

    def test_other_projects_and_repositories_are_not_held(
        self, held: Repository, library: Project
    ) -> None:
        ImmutableRule.objects.update(repository_pattern="app")
        for repository in (make_repository(library), make_repository(held.project, "web")):
            push_image(repository, tag="v1")
            push_image(repository, tag="v1")
            trash.delete_repository(repository, actor=SYSTEM_ACTOR)

    def test_a_rule_that_is_off_holds_nothing(self, held: Repository) -> None:
        push_image(held, tag="v1")
        ImmutableRule.objects.update(is_disabled=True)
        push_image(held, tag="v1")
        trash.delete_tag(held, "v1", actor=SYSTEM_ACTOR)

    def test_what_came_before_the_rule_can_be_restored(self, app: Repository) -> None:
        push_image(app, tag="v1")
        entry = trash.delete_tag(app, "v1", actor=SYSTEM_ACTOR)
        immutable_rules.create(app.project, rule=Rule("v*"), actor=SYSTEM_ACTOR)
        restoring.restore(app, entry.pk, actor=SYSTEM_ACTOR)
        with pytest.raises(PreconditionFailed):
            trash.delete_tag(app, "v1", actor=SYSTEM_ACTOR)

    def test_an_index_holds_its_manifests(self, held: Repository) -> None:
        child = make_image()
        push_image(held, child, tag="")
        push_image(held, make_index(child), tag="v1", children=(child,))
        with pytest.raises(PreconditionFailed):
            trash.delete_repository(held, actor=SYSTEM_ACTOR)


class TestRuns:
    def test_a_run_keeps_what_is_held_and_says_why(
        self, held: Repository, alice: User, broker: Broker
    ) -> None:
        for name in ("v1", "pr-1", "pr-2"):
            push_image(held, tag=name)
        parameters = bulk.parameters_of(held, Selection("*"), with_images=True)
        execution = executions.create(
            bulk.DELETION, actor=actor_of(alice), policy_id=held.pk, parameters=parameters
        )
        task = perform(execution)
        assert set(tags_of(held)) == {"v1"}
        assert task.result["tags"] == 2
        log = "".join(task.logs.values_list("text", flat=True))
        assert "kept v1: the tag v1 is immutable (in every repository" in log
        recount(held.project)

    def test_an_image_stays_without_its_tag_while_something_about_it_is_held(
        self, held: Repository
    ) -> None:
        image = make_image()
        push_image(held, image, tag="dev")
        bill = make_image(subject=descriptor(image.content, image.media_type))
        push_image(held, bill, tag="v1")
        outcome = tag_deletions.delete_tags(
            held, {"dev": image.digest}, with_images=True, actor=SYSTEM_ACTOR
        )
        assert (outcome.tags, outcome.images) == (1, 0)
        assert tags_of(held) == {"v1": bill.digest}
        assert Artifact.objects.live().filter(body_id=image.digest).exists()
        recount(held.project)


class TestUndecidable:
    @pytest.mark.parametrize("name", DOORS)
    def test_is_refused(self, held: Repository, name: str) -> None:
        artifact = push_image(held, tag="v1")
        ImmutableRule.objects.update(tag_pattern="{1..100000}")
        with pytest.raises(Unavailable):
            DOORS[name](held, artifact)
        assert tags_of(held) == {"v1": artifact.digest}

    def test_an_unknown_word_in_the_table_is_refused_too(self, held: Repository) -> None:
        push_image(held, tag="v1")
        ImmutableRule.objects.update(tag_match="perhaps")
        with pytest.raises(Unavailable):
            push_image(held, tag="v1")


def test_a_push_asks_for_rules_only_where_a_tag_moves(
    held: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = immutability.rules_of

    def rules_of(project_id: int) -> list[Rule]:
        asked.append(project_id)
        return real(project_id)

    monkeypatch.setattr(immutability, "rules_of", rules_of)
    image = make_image()
    push_image(held, image, tag="dev")
    push_image(held, image, tag="dev")
    push_image(held, tag="")
    assert not asked
    push_image(held, tag="dev")
    assert asked == [held.project_id]


def test_which_of_a_page_are_held(held: Repository) -> None:
    found = immutability.held_among(held, ["v1", "dev", "v2"])
    assert found == {"v1": Rule("v[0-9]*"), "v2": Rule("v[0-9]*")}
    assert not Tag.objects.exists()
