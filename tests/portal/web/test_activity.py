"""What of what happened is told to whom, and how."""

import re

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts import audit, cve_allowlist, members, projects
from accounts.models import AuditEntry, Project
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from accounts.projects import Changes
from accounts.roles import Role
from registry_sync import trash
from registry_sync.models import Repository
from tests.conftest import Cast
from tests.factories import make_image, make_index, make_repository, push_image
from tests.portal.web.conftest import SignedIn, fragment, text_of

HERE = "/p/team/-/activity"


def said(page: str) -> str:
    """The lines of a page without their markup."""
    lines = page.partition('<div id="rows">')[2]
    out, is_tag = [], False
    for letter in lines:
        is_tag = letter == "<" or (is_tag and letter != ">")
        if not is_tag and letter != ">":
            out.append(letter)
    return " ".join("".join(out).split())


@pytest.fixture
def bob(cast: Cast) -> Actor:
    """Bob at work."""
    return Actor(Principal("user", "bob", cast.bob.pk), request_id="r1", address="10.1.2.3")


@pytest.fixture
def pushed(cast: Cast, bob: Actor) -> Cast:
    """Bob pushed two tags of one image."""
    repository = make_repository(cast.team, "tools/app")
    image = make_image()
    for tag in ("1.0", "latest"):
        push_image(repository, image, tag, actor=bob)
    return cast


def test_who_may_look(cast: Cast, signed_in: SignedIn) -> None:
    assert Client().get("/activity").status_code == 302
    assert Client().get("/p/library/-/activity").status_code == 200
    for user, status in ((cast.mallory, 404), (cast.carol, 200), (cast.admin, 200)):
        assert signed_in(user).get(HERE).status_code == status
    assert Client().get(HERE).status_code == 302


def test_pushes_of_one_image_are_one_line_with_links(pushed: Cast, signed_in: SignedIn) -> None:
    for path in (HERE, "/activity"):
        page = text_of(signed_in(pushed.carol).get(path))
        assert "bob pushed team/tools/app:latest, 1.0" in said(page)
        assert 'href="/p/team/tools/app/-/tags/1.0"' in page
        assert said(page).count("bob pushed") == 1
        assert "Today" in page
        assert "10.1.2.3" not in page


def test_what_is_gone_has_no_link(pushed: Cast, signed_in: SignedIn, bob: Actor) -> None:
    repository = Repository.objects.get(path="tools/app")
    trash.delete_tag(repository, "1.0", actor=bob)
    page = text_of(signed_in(pushed.carol).get(HERE))
    assert "bob deleted the tag team/tools/app:1.0" in said(page)
    assert 'href="/p/team/tools/app/-/tags/1.0"' not in page
    assert 'href="/p/team/tools/app/-/tags/latest"' in page


def test_a_push_without_a_tag_is_no_line(cast: Cast, signed_in: SignedIn, bob: Actor) -> None:
    repository, image = make_repository(cast.team), make_image()
    push_image(repository, image, "", actor=bob)
    push_image(repository, make_index(image), "2.0", children=(image,), actor=bob)
    assert said(text_of(signed_in(cast.carol).get(HERE))).count("pushed") == 1


def test_settings_and_people_are_for_who_may_read_the_log(
    pushed: Cast, signed_in: SignedIn
) -> None:
    projects.update(pushed.team, changes=Changes(is_read_only=True), actor=SYSTEM_ACTOR)
    for user, is_told in ((pushed.bob, False), (pushed.alice, True), (pushed.admin, True)):
        for path in (HERE, "/activity"):
            page = text_of(signed_in(user).get(path))
            for words in ("Moorage added the member team: bob", "changed the settings of team"):
                assert (words in said(page)) == is_told, (user, path)
            assert "bob pushed" in said(page)
    page = text_of(signed_in(pushed.bob).get(HERE))
    assert "/-/audit" not in page
    assert "/p/team/-/audit" in text_of(signed_in(pushed.alice).get(HERE))


def test_projects_that_one_may_not_see_are_not_there(
    pushed: Cast, signed_in: SignedIn, bob: Actor
) -> None:
    push_image(make_repository(pushed.library), make_image(), "9", actor=bob)
    page = said(text_of(signed_in(pushed.mallory).get("/activity")))
    assert "team" not in page
    assert "bob pushed library/app:9" in page
    assert "Moorage made the user" not in page
    asked = signed_in(pushed.mallory).get("/activity", {"project": "team"})
    assert "Nothing matches" in text_of(asked)
    projects.remove(pushed.team, actor=SYSTEM_ACTOR)
    assert "team" not in said(text_of(signed_in(pushed.bob).get("/activity")))
    page = said(text_of(signed_in(pushed.admin).get("/activity")))
    assert "Moorage deleted the project team" in page
    assert "Moorage made the user mallory" in page


def test_what_is_nobody_elses_matter_is_not_told(cast: Cast, signed_in: SignedIn) -> None:
    actor = Actor(Principal("user", "alice", cast.alice.pk), request_id="r2")
    audit.record(actor, "login_user", "alice")
    audit.record_refusal(actor, "update_page", "/p/team", reason="no")
    audit.record(actor, "create_token", "alice")
    audit.record(actor, "update_preferences", "alice")
    assert "alice" not in said(text_of(signed_in(cast.admin).get("/activity?who=alice")))


def test_a_copy_is_one_line(cast: Cast, signed_in: SignedIn, bob: Actor) -> None:
    repository = make_repository(cast.team)
    push_image(repository, make_image(), "1", actor=bob)
    detail = {"from": "team/other@sha256:" + "a" * 64, "tags": ["1"]}
    resource = "team/app@sha256:" + "b" * 64
    audit.record(bob, "copy_artifact", resource, project=cast.team, detail=detail)
    page = said(text_of(signed_in(cast.carol).get(HERE)))
    assert "bob copied team/app@sha256:bbbbbbbbbbbb… from team/other@sha256:aaaaaaaaaaaa…" in page
    assert "pushed" not in page


def test_each_filter(pushed: Cast, signed_in: SignedIn) -> None:
    client = signed_in(pushed.alice)
    members.add(pushed.team, user=pushed.mallory, role=Role.GUEST, actor=SYSTEM_ACTOR)
    cve_allowlist.replace(pushed.team, cve_ids=[], expires_at=None, actor=SYSTEM_ACTOR)
    audit.record(SYSTEM_ACTOR, "fetch_artifact", "team/app:2", project=pushed.team)
    for kind, there, absent in (
        ("pushes", "bob pushed", "member"),
        ("pushes", "Moorage fetched team/app:2 from the upstream", "member"),
        ("people", "team: mallory", "bob pushed"),
        ("settings", "Tolerated vulnerabilities changed", "pushed"),
        ("settings", "Tolerated vulnerabilities changed", "fetched"),
    ):
        page = said(text_of(client.get(HERE, {"kind": kind})))
        assert there in page
        assert absent not in page
    assert "Nothing matches" in text_of(client.get(HERE, {"kind": "removals"}))
    assert "bob pushed" in said(text_of(client.get(HERE, {"who": "bob"})))
    assert client.get(HERE, {"kind": "nonsense"}).status_code == 422
    part = text_of(fragment(client, HERE, "rows", who="bob"))
    assert part.strip().startswith('<div id="rows">')


def test_older_pages_begin_where_the_last_ended(cast: Cast, signed_in: SignedIn) -> None:
    for number in range(130):
        audit.record(SYSTEM_ACTOR, "update_project", f"team-{number}", project=cast.team)
    client, seen = signed_in(cast.alice), []
    path = "/activity"
    for _number in range(4):
        page = text_of(client.get(path))
        seen += re.findall(r"settings of <[^>]*>(team-[0-9]+)<", page)
        _before, _mark, rest = page.partition('rel="next" href="')
        if not rest:
            break
        path = rest.partition('"')[0].replace("&amp;", "&")
    assert seen == [f"team-{number}" for number in reversed(range(130))]
    answer = client.get("/activity", {"before": "1"})
    assert "Clear the filter" in text_of(answer)
    for bad in ("-1", "x", "9" * 30, "\0"):
        assert client.get("/activity", {"before": bad}).status_code == 200


def test_what_was_long_ago_is_found_too(cast: Cast, signed_in: SignedIn, bob: Actor) -> None:
    audit.record(bob, "update_repository", "team/app", project=cast.team)
    last = AuditEntry.objects.order_by("-pk")[0]
    AuditEntry.objects.create(
        pk=last.pk + 100_000, actor_name="x", action="login_user", resource="x", at=timezone.now()
    )
    page = said(text_of(signed_in(cast.carol).get("/activity")))
    assert "bob described the repository team/app" in page


def test_texts_of_people_stay_texts(cast: Cast, signed_in: SignedIn) -> None:
    hostile = "<img src=x onerror=alert(1)>{who}%(who)s"
    actor = Actor(Principal("user", hostile, cast.bob.pk))
    label = {"label": hostile}
    audit.record(actor, "create_artifact_label", hostile, project=cast.team, detail=label)
    audit.record(actor, "no_such_action", hostile, project=cast.team)
    page = text_of(signed_in(cast.alice).get(HERE))
    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;{who}%(who)s") >= 5


def test_an_empty_one_says_so(cast: Cast, signed_in: SignedIn) -> None:
    page = text_of(signed_in(cast.carol).get(HERE))
    assert "Nothing has happened yet" in page


def test_it_asks_the_database_no_more_for_more_lines(
    cast: Cast,
    signed_in: SignedIn,
    bob: Actor,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(25):
        project = projects.create(name=f"pier-{number}", owner=cast.bob, actor=SYSTEM_ACTOR)
        audit.record(bob, "create_artifact", f"pier-{number}/a:1", project=project)
    client = signed_in(cast.bob)
    with django_assert_max_num_queries(12):
        assert text_of(client.get("/activity")).count("bob</b> pushed") == 25


def test_the_project_of_an_entry_keeps_its_link_when_renamed(
    pushed: Cast, signed_in: SignedIn
) -> None:
    projects.rename(Project.objects.get(name="team"), name="crew", actor=SYSTEM_ACTOR)
    page = text_of(signed_in(pushed.carol).get("/p/crew/-/activity"))
    assert 'href="/p/crew/tools/app/-/tags/1.0"' in page
    page = said(text_of(signed_in(pushed.alice).get("/p/crew/-/activity")))
    assert "Moorage renamed the project team to crew" in page


def test_pushes_of_several_images_are_several_lines(
    cast: Cast, signed_in: SignedIn, bob: Actor
) -> None:
    repository = make_repository(cast.team)
    for tag in ("1.0", "1.1"):
        push_image(repository, make_image(), tag, actor=bob)
    page = said(text_of(signed_in(cast.carol).get(HERE)))
    assert page.count("bob pushed") == 2
