"""Artifacts and tags of a repository."""

from collections.abc import Callable

import pytest

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import labels
from registry_sync.labels import Look
from registry_sync.models import ImmutableRule, Repository, TagEvent
from tests.factories import descriptor, make_image, make_index, make_repository, push_image
from tests.portal.api.conftest import Answer, Caller, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
CONFIG = {"config": {"User": "app"}}
BASE = "projects/team/repositories/web%252Fapp/artifacts"


@pytest.fixture
def app(team: Project) -> Repository:
    """Push an image under two tags, an index of two, and an image without a tag."""
    app = make_repository(team, "web/app")
    image = make_image("app", config=CONFIG)
    push_image(app, image, "v1")
    push_image(app, image, "stable")
    children = make_image("one"), make_image("two")
    for child in children:
        push_image(app, child, "")
    push_image(app, make_index(*children), "many", children=children)
    push_image(app, make_image("bare"), "")
    return app


@pytest.fixture
def signed(team: Project) -> Repository:
    """Push an image with a cosign signature by tag and one by subject, an SBOM and a scan."""
    app = make_repository(team, "web/app")
    image = make_image("signed")
    push_image(app, image, "v1")
    subject = descriptor(image.content, image.media_type)
    cosign = "application/vnd.dev.cosign.artifact.sig.v1+json"
    push_image(app, make_image("by tag"), f"{image.digest.replace(':', '-')}.sig")
    push_image(app, make_image("by subject", artifactType=cosign, subject=subject), "")
    push_image(app, make_image("bill", artifactType="application/spdx+json", subject=subject), "")
    push_image(app, make_image("scan", artifactType="application/x-scan", subject=subject), "")
    return app


def digests(response: Answer) -> set[str]:
    assert response.status_code == 200, response.content
    return {artifact["digest"] for artifact in told(response)}


def test_an_image(caller: Callers, app: Repository) -> None:
    shown = told(caller("carol").get(f"{BASE}/v1"))
    assert {tag["name"] for tag in shown["tags"]} == {"v1", "stable"}
    assert (shown["type"], shown["repository_name"]) == ("IMAGE", "team/web/app")
    assert shown["extra_attrs"]["config"] == {"User": "app"}
    assert shown["references"] == []
    by_digest = told(caller("carol").get(f"{BASE}/{shown['digest']}"))
    assert by_digest == shown


def test_an_index(caller: Callers, app: Repository) -> None:
    shown = told(caller("carol").get(f"{BASE}/many"))
    assert [entry["platform"]["architecture"] for entry in shown["references"]] == [
        "amd64",
        "arm64",
    ]


def test_the_list_holds_what_was_pushed_itself(caller: Callers, app: Repository) -> None:
    response = caller("carol").get(BASE)
    assert response["X-Total-Count"] == "3"
    children = {make_image("one").digest, make_image("two").digest}
    assert not digests(response) & children
    assert told(caller("carol").get(f"{BASE}?with_tag=false"))[0]["tags"] == []


@pytest.mark.parametrize(
    ("q", "count"),
    [
        ("tags=*", 2),
        ("tags=nil", 1),
        ("tags=v1", 1),
        ("tags=~a", 2),
        ("tags=none", 0),
        ("type=IMAGE", 3),
        ("type=image", 3),
        ("type={CHART CNAI}", 0),
        ("type=ROCKET", 0),
        ("media_type=application/vnd.oci.image.config.v1%2Bjson", 2),
        ("media_type=application/vnd.oci.image.index.v1%2Bjson", 1),
        ("artifact_type=application/vnd.oci.image.config.v1%2Bjson", 2),
        ("size=[~10]", 0),
        ("size=[10~]", 3),
        ("push_time=[2020-01-01~]", 3),
        ("push_time=[~2020-01-01]", 0),
        ("labels=1", 0),
    ],
)
def test_filters(caller: Callers, app: Repository, q: str, count: int) -> None:
    assert len(digests(caller("carol").get(f"{BASE}?q={q}"))) == count


@pytest.mark.parametrize(
    "asked",
    [
        "q=tags={a b}",
        "q=config=x",
        "q=labels=word",
        "q=labels=[1~2]",
        "q=type=~I",
        "q=size=[1]",
        "q=size=~1",
        "sort=config",
        "with_tag=so",
        "with_accessory=so",
    ],
)
def test_strange_questions(caller: Callers, app: Repository, asked: str) -> None:
    assert caller("carol").get(f"{BASE}?{asked}").status_code == 400


@pytest.mark.parametrize("sort", ["size", "-push_time", "digest", "id", "-artifact_type"])
def test_sorts(caller: Callers, app: Repository, sort: str) -> None:
    assert len(digests(caller("carol").get(f"{BASE}?sort={sort}"))) == 3


@pytest.mark.parametrize("sort", ["", "&sort=-push_time"])
def test_the_newest_come_first_page_after_page(caller: Callers, app: Repository, sort: str) -> None:
    pushed = [push_image(app, make_image(), f"t{number}").digest for number in range(6)]
    answers = [caller("carol").get(f"{BASE}?page_size=3&page={n}{sort}") for n in (1, 2)]
    shown = [row["digest"] for answer in answers for row in told(answer)]
    assert shown == pushed[::-1]


def test_the_number_of_queries_does_not_grow(
    caller: Callers,
    app: Repository,
    django_assert_max_num_queries: Callable[[int], object],
) -> None:
    label = labels.create(None, look=Look("checked"), actor=SYSTEM_ACTOR)
    for number in range(5):
        pushed = push_image(app, make_image(), f"t{number}")
        labels.attach(pushed, label, actor=SYSTEM_ACTOR)
    carol = caller("carol")
    everything = "with_label=true&with_accessory=true&with_inherited_accessory=true"
    asked = f"{BASE}?{everything}&with_immutable_status=true"
    carol.get(asked)
    # Five of them say who asks and whether they may.
    with django_assert_max_num_queries(5 + 10):  # type: ignore[attr-defined]
        assert len(digests(carol.get(asked))) == 8


def test_what_is_about_another_is_not_listed(caller: Callers, signed: Repository) -> None:
    assert digests(caller("carol").get(BASE)) == {make_image("signed").digest}
    shown = told(caller("carol").get("projects/team/repositories/web%252Fapp"))
    assert shown["artifact_count"] == 1


def test_accessories(caller: Callers, signed: Repository) -> None:
    shown = told(caller("carol").get(f"{BASE}/v1?with_accessory=true"))["accessories"]
    listed = caller("carol").get(f"{BASE}/v1/accessories")
    assert listed["X-Total-Count"] == "4"
    assert [row["type"] for row in told(listed)] == [
        "signature.cosign",
        "signature.cosign",
        "sbom.harbor",
        "subject.accessory",
    ]
    assert {row["digest"] for row in shown} == {row["digest"] for row in told(listed)}
    row = told(listed)[0]
    assert row["subject_artifact_digest"] == make_image("signed").digest
    assert row["subject_artifact_repo"] == "team/web/app"


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("q=type=signature.cosign", 2),
        ("q=type={sbom.harbor subject.accessory}", 2),
        ("q=type=~cosign", 2),
        ("page=2&page_size=3", 1),
        ("sort=-size", 4),
    ],
)
def test_questions_about_accessories(
    caller: Callers, signed: Repository, asked: str, count: int
) -> None:
    assert len(told(caller("carol").get(f"{BASE}/v1/accessories?{asked}"))) == count


def test_strange_questions_about_accessories(caller: Callers, signed: Repository) -> None:
    for asked in ("q=size=1", "q=type=[a~b]", "sort=icon"):
        assert caller("carol").get(f"{BASE}/v1/accessories?{asked}").status_code == 400


def test_a_platform_shows_the_signatures_of_its_index(caller: Callers, team: Project) -> None:
    app = make_repository(team, "web/app")
    child = make_image("child")
    push_image(app, child, "")
    index = make_index(child)
    push_image(app, index, "many", children=(child,))
    subject = descriptor(index.content, index.media_type)
    notation = "application/vnd.cncf.notary.signature"
    push_image(app, make_image("sig", artifactType=notation, subject=subject), "")
    push_image(app, make_image("bill", artifactType="text/spdx", subject=subject), "")
    asked = f"{BASE}/{child.digest}?with_inherited_accessory=true&with_accessory=true"
    shown = told(caller("carol").get(asked))
    assert [row["type"] for row in shown["inherited_accessories"]] == ["signature.notation"]
    assert shown["inherited_accessories"][0]["subject_artifact_digest"] == index.digest
    assert shown["accessories"] == []


def test_the_artifacts_of_a_whole_project(caller: Callers, app: Repository, team: Project) -> None:
    push_image(make_repository(team, "other"), make_image("elsewhere"), "v1")
    everything = digests(caller("carol").get("projects/team/artifacts"))
    assert len(everything) == 4
    assert caller("mallory").get("projects/team/artifacts").status_code == 404


def test_the_newest_of_each_repository(caller: Callers, app: Repository, team: Project) -> None:
    push_image(make_repository(team, "other"), make_image("elsewhere"), "v1")
    config = "q=media_type=application/vnd.oci.image.config.v1%2Bjson"
    newest = f"projects/team/artifacts?latest_in_repository=true&{config}"
    found = digests(caller("carol").get(newest))
    assert found == {make_image("elsewhere").digest, make_image("bare").digest}
    unasked = caller("carol").get("projects/team/artifacts?latest_in_repository=true")
    assert unasked.status_code == 400


def test_tags(caller: Callers, app: Repository) -> None:
    names = {tag["name"] for tag in told(caller("carol").get(f"{BASE}/v1/tags"))}
    assert names == {"v1", "stable"}
    one = caller("carol").get(f"{BASE}/v1/tags?q=name=stable")
    assert one["X-Total-Count"] == "1"


@pytest.mark.parametrize("reference", ["none", "sha256:" + "0" * 64, "sha256:x", "%2500"])
def test_what_is_not_there(caller: Callers, app: Repository, reference: str) -> None:
    assert caller("carol").get(f"{BASE}/{reference}").status_code == 404
    assert caller("carol").get(f"{BASE}/{reference}/tags").status_code == 404


def test_outsiders_see_nothing(caller: Callers, app: Repository) -> None:
    for path in (BASE, f"{BASE}/v1", f"{BASE}/v1/tags"):
        assert caller("mallory").get(path).status_code == 404
        assert caller("").get(path).status_code == 401


def test_which_tags_a_rule_holds(caller: Callers, app: Repository, team: Project) -> None:
    ImmutableRule.objects.create(project=team, tag_pattern="v*")
    asked = "with_immutable_status=true"
    for path in (f"{BASE}/v1?{asked}", f"{BASE}/v1"):
        tags = told(caller("carol").get(path))["tags"]
        held = {tag["name"] for tag in tags if tag["immutable"]}
        assert held == ({"v1"} if asked in path else set())
    tags = told(caller("carol").get(f"{BASE}/v1/tags?{asked}"))
    assert {tag["name"]: tag["immutable"] for tag in tags} == {"v1": True, "stable": False}
    deleted = caller("alice").call("DELETE", f"{BASE}/v1/tags/v1")
    assert deleted.status_code == 412
    assert caller("alice").call("DELETE", f"{BASE}/v1").status_code == 412


# --- Changes --------------------------------------------------------------------------------------


def test_a_new_tag(caller: Callers, app: Repository) -> None:
    answer = caller("bob").post(f"{BASE}/v1/tags", {"name": "blessed"})
    assert answer.status_code == 201
    assert answer["Location"].endswith("/artifacts/v1/tags/blessed")
    names = {tag["name"] for tag in told(caller("carol").get(f"{BASE}/blessed/tags"))}
    assert names == {"v1", "stable", "blessed"}
    event = TagEvent.objects.get(tag="blessed")
    assert (event.to_digest, event.actor_name) == (make_image("app", config=CONFIG).digest, "bob")


@pytest.mark.parametrize("name", ["v1", "many"])
def test_a_tag_that_exists_is_not_moved(caller: Callers, app: Repository, name: str) -> None:
    assert caller("bob").post(f"{BASE}/v1/tags", {"name": name}).status_code == 409


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "a b"}, {"name": "a" * 129}, []])
def test_what_can_be_no_tag(caller: Callers, app: Repository, body: object) -> None:
    assert caller("bob").post(f"{BASE}/v1/tags", body).status_code == 400


def test_a_tag_is_taken_away(caller: Callers, app: Repository) -> None:
    assert caller("alice").call("DELETE", f"{BASE}/v1/tags/many").status_code == 404
    assert caller("bob").call("DELETE", f"{BASE}/v1/tags/stable").status_code == 403
    assert caller("alice").call("DELETE", f"{BASE}/v1/tags/stable").status_code == 200
    assert caller("carol").get(f"{BASE}/stable").status_code == 404
    assert caller("carol").get(f"{BASE}/v1").status_code == 200


def test_an_artifact_is_deleted_with_its_tags(caller: Callers, app: Repository) -> None:
    assert caller("alice").call("DELETE", f"{BASE}/v1").status_code == 200
    assert caller("carol").get(f"{BASE}/stable").status_code == 404
    assert caller("alice").call("DELETE", f"{BASE}/v1").status_code == 404
    child = make_image("one").digest
    assert caller("alice").call("DELETE", f"{BASE}/{child}").status_code == 409


def test_labels(caller: Callers, app: Repository, team: Project) -> None:
    mine = labels.create(team, look=Look("team's"), actor=SYSTEM_ACTOR)
    common = labels.create(None, look=Look("checked"), actor=SYSTEM_ACTOR)
    bob = caller("bob")
    for label in (mine, common):
        assert bob.post(f"{BASE}/v1/labels", {"id": label.pk}).status_code == 200
    assert bob.post(f"{BASE}/many/labels", {"id": common.pk}).status_code == 200
    assert bob.post(f"{BASE}/v1/labels", {"id": mine.pk}).status_code == 409
    shown = told(bob.get(f"{BASE}/v1?with_label=true"))["labels"]
    assert [label["name"] for label in shown] == ["team's", "checked"]
    assert told(bob.get(f"{BASE}/v1"))["labels"] == []
    both = f"labels=({mine.pk} {common.pk})"
    assert len(digests(bob.get(f"{BASE}?q={both}"))) == 1
    assert len(digests(bob.get(f"{BASE}?q=labels={common.pk}"))) == 2
    either = f"labels={{{mine.pk} {common.pk}}}"
    assert len(digests(bob.get(f"{BASE}?q={either}"))) == 2
    assert bob.call("DELETE", f"{BASE}/v1/labels/{mine.pk}").status_code == 200
    assert bob.call("DELETE", f"{BASE}/v1/labels/{mine.pk}").status_code == 404
    assert caller("carol").post(f"{BASE}/v1/labels", {"id": mine.pk}).status_code == 403


def test_another_projects_label_is_not_there(
    caller: Callers, app: Repository, library: Project
) -> None:
    other = labels.create(library, look=Look("library's"), actor=SYSTEM_ACTOR)
    for answer in (
        caller("bob").post(f"{BASE}/v1/labels", {"id": other.pk}),
        caller("bob").call("DELETE", f"{BASE}/v1/labels/{other.pk}"),
    ):
        assert answer.status_code == 404
    assert caller("bob").post(f"{BASE}/v1/labels", {"name": "x"}).status_code == 400
