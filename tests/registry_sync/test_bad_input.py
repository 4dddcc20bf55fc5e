"""What others sent to registries: deep and wide indexes, circles of tags, changed places."""

import itertools

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts import projects
from accounts.errors import Conflict
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import copying, immutable_rules, nesting, restoring, trash
from registry_sync.immutability import Rule
from registry_sync.manifests import ManifestError, parse
from registry_sync.models import Artifact, Repository
from registry_sync.restoring import Tags
from tests.factories import Image, make_image, make_index, make_repository, push_image
from tests.registry_sync.trashing import live_in, recount, tags_of


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


def push_levels(app: Repository, levels: int) -> list[tuple[Image, ...]]:
    """Push two images, then pairs of indexes that both hold the pair below them."""
    pairs: list[tuple[Image, ...]] = [(make_image(), make_image())]
    for image in pairs[0]:
        push_image(app, image, tag="")
    for level in range(levels):
        pair = tuple(
            make_index(*pairs[-1], annotations={"level": f"{level}{side}"}) for side in "ab"
        )
        for index in pair:
            push_image(app, index, tag="", children=pairs[-1])
        pairs.append(pair)
    return pairs


class TestNestedIndexes:
    def test_thirty_levels_of_shared_children_are_each_visited_once(
        self, app: Repository, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        pairs = push_levels(app, 29)
        top = make_index(*pairs[-1])
        push_image(app, top, tag="deep", children=pairs[-1])
        artifact = Artifact.objects.select_related("body", "repository__project").get(
            body_id=top.digest
        )
        everything = [top, *itertools.chain.from_iterable(pairs)]
        # There are two to the power of thirty ways down; each manifest weighs once.
        images, indexes = pairs[0], everything[:1] + list(itertools.chain(*pairs[1:]))
        weight = sum(image.size for image in images) + sum(len(index.content) for index in indexes)
        assert artifact.size == weight
        assert recount(app.project) == weight
        # A few for each level, and none for each way down.
        with django_assert_max_num_queries(400):
            assert len(copying.belonging(artifact)) == len(everything)
            entry = trash.delete_artifact(app, top.digest, actor=SYSTEM_ACTOR)
        assert entry.artifact_count == len(everything)
        assert live_in(app) == set()
        assert recount(app.project) == 0
        with django_assert_max_num_queries(200):
            restoring.restore(app, entry.pk, actor=SYSTEM_ACTOR)
        assert live_in(app) == {each.digest for each in everything}
        assert recount(app.project) == weight

    def test_there_is_an_end_to_it(self, app: Repository) -> None:
        pairs = push_levels(app, nesting.MAX_DEPTH - 1)
        push_image(app, make_index(*pairs[-1]), tag="deepest", children=pairs[-1])
        last = make_index(*pairs[-1], annotations={"one": "more"})
        push_image(app, last, tag="", children=pairs[-1])
        used = recount(app.project)
        with pytest.raises(ManifestError, match="nested 32 deep"):
            push_image(app, make_index(last), tag="deeper", children=(last,))
        assert set(tags_of(app)) == {"deepest"}
        assert recount(app.project) == used

    def test_the_same_manifest_at_two_levels_weighs_once(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image, tag="")
        inner = make_index(image)
        push_image(app, inner, tag="", children=(image,))
        outer = make_index(inner, image)
        artifact = push_image(app, outer, tag="both", children=(inner, image))
        assert artifact.size == image.size + len(inner.content) + len(outer.content)

    def test_a_thousand_entries_and_not_one_more(self) -> None:
        image = make_image()
        widest = make_index(*[image] * 1000)
        assert len(widest.manifest.children) == 1000
        wider = make_index(*[image] * 1001)
        with pytest.raises(ManifestError, match="more than 1000"):
            parse(wider.content, wider.media_type)


class TestCircles:
    def test_tags_that_make_two_images_signatures_of_each_other(self, app: Repository) -> None:
        first, second = make_image(), make_image()
        push_image(app, first, tag="v1")
        push_image(app, second, tag=f"{first.digest.replace(':', '-')}.sig")
        push_image(app, first, tag=f"{second.digest.replace(':', '-')}.sig")
        used = recount(app.project)
        entry = trash.delete_artifact(app, first.digest, actor=SYSTEM_ACTOR)
        assert (entry.artifact_count, entry.tag_count) == (2, 3)
        assert recount(app.project) == 0
        restoring.restore(app, entry.pk, actor=SYSTEM_ACTOR)
        assert recount(app.project) == used

    def test_an_image_that_is_its_own_signature(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image, tag=f"{image.digest.replace(':', '-')}.sig")
        trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        assert live_in(app) == set()


def test_an_index_of_what_is_not_there_leaves_nothing(app: Repository) -> None:
    child = make_image()
    push_image(app, child, tag="")
    used = recount(app.project)
    trash.delete_artifact(app, child.digest, actor=SYSTEM_ACTOR)
    with pytest.raises(Exception, match="was removed meanwhile"):
        push_image(app, make_index(child), tag="v1", children=(child,))
    assert tags_of(app) == {}
    assert recount(app.project) == 0
    assert used > 0


class TestRestoringElsewhere:
    """What lies in the trash while its place changes: it comes back, or the answer says why not."""

    def test_into_a_renamed_project(self, app: Repository) -> None:
        push_image(app, tag="v1")
        entry = trash.delete_tag(app, "v1", actor=SYSTEM_ACTOR)
        projects.rename(app.project, name="crew", actor=SYSTEM_ACTOR)
        restoring.restore(app, entry.pk, actor=SYSTEM_ACTOR)
        assert set(tags_of(app)) == {"v1"}

    def test_under_a_name_that_a_rule_holds_elsewhere_by_now(self, app: Repository) -> None:
        push_image(app, tag="v1")
        entry = trash.delete_tag(app, "v1", actor=SYSTEM_ACTOR)
        held = push_image(app, tag="v1")
        immutable_rules.create(app.project, rule=Rule("v*"), actor=SYSTEM_ACTOR)
        with pytest.raises(Conflict, match=f"v1 points to {held.digest[:19]} now"):
            restoring.restore(app, entry.pk, actor=SYSTEM_ACTOR)
        restoring.restore(app, entry.pk, tags=Tags.FREE, actor=SYSTEM_ACTOR)
        assert tags_of(app) == {"v1": held.digest}

    def test_into_a_full_or_a_deleted_project(self, app: Repository) -> None:
        artifact = push_image(app, tag="v1")
        entry = trash.delete_artifact(app, artifact.digest, actor=SYSTEM_ACTOR)
        Project.objects.filter(pk=app.project_id).update(storage_limit=1)
        with pytest.raises(Conflict, match="limit"):
            restoring.restore(app, entry.pk, actor=SYSTEM_ACTOR)
        Project.objects.filter(pk=app.project_id).update(storage_limit=-1)
        projects.remove(app.project, actor=SYSTEM_ACTOR)
        with pytest.raises(Conflict, match="project was deleted"):
            restoring.restore(app, entry.pk, actor=SYSTEM_ACTOR)
        assert live_in(app) == set()
