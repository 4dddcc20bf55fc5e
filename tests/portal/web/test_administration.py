"""Users and the audit, as administrators and auditors see them."""

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts import users
from accounts.models import AuditEntry, User
from accounts.principals import SYSTEM_ACTOR
from tests.conftest import Cast, password_of
from tests.portal.web.conftest import SignedIn, fragment, text_of

PAGES = ("/admin/users", "/admin/audit")


@pytest.fixture
def auditor(cast: Cast) -> User:
    """carol, who may read everything."""
    return users.set_auditor(cast.carol, is_auditor=True, actor=SYSTEM_ACTOR)


def test_who_may_look(cast: Cast, auditor: User, signed_in: SignedIn) -> None:
    for path in (*PAGES, f"/admin/users/{cast.bob.pk}"):
        assert signed_in(cast.admin).get(path).status_code == 200
        assert signed_in(auditor).get(path).status_code == 200
        assert signed_in(cast.alice).get(path).status_code == 403
        assert Client().get(path).status_code == 302
    assert signed_in(cast.admin).get("/admin/users/999999").status_code == 404
    assert signed_in(cast.admin).get(f"/admin/users/{10**30}").status_code == 404


def test_the_navigation_shows_it_to_who_may_read_it(
    cast: Cast, auditor: User, signed_in: SignedIn
) -> None:
    assert "/admin/users" in text_of(signed_in(auditor).get("/"))
    assert "/admin/users" not in text_of(signed_in(cast.bob).get("/"))


@pytest.mark.parametrize("path", ["switch/active", "switch/auditor", "reset", "delete"])
def test_auditors_change_nothing(cast: Cast, auditor: User, signed_in: SignedIn, path: str) -> None:
    client = signed_in(auditor)
    form = {"to": "off", "confirmation": "bob"}
    assert client.post(f"/admin/users/{cast.bob.pk}/{path}", form).status_code == 403
    assert client.get("/admin/users/new").status_code == 403
    assert "Delete user" not in text_of(client.get(f"/admin/users/{cast.bob.pk}"))


def test_users_are_found_by_name_and_address(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    assert "bob@example.com" in text_of(client.get("/admin/users"))
    found = text_of(fragment(client, "/admin/users", "rows", q="ALICE@"))
    assert "alice@example.com" in found
    assert "bob@example.com" not in found
    assert "No user matches" in text_of(client.get("/admin/users", {"q": "nobody-here"}))


def test_a_user_is_made_with_a_password(cast: Cast, signed_in: SignedIn) -> None:
    form = {"username": "dave", "password": password_of("dave"), "email": "dave@example.com"}
    answer = signed_in(cast.admin).post("/admin/users/new", form)
    made = User.objects.get(username="dave")
    assert answer.headers["Location"] == f"/admin/users/{made.pk}"
    assert made.check_password(password_of("dave"))
    assert not made.is_administrator


def test_a_user_is_made_without_one_and_chooses_it(cast: Cast, signed_in: SignedIn) -> None:
    page = text_of(signed_in(cast.admin).post("/admin/users/new", {"username": "dave"}))
    assert "The link is shown once." in page
    _use(page, "a-quite-different-one")
    assert User.objects.get(username="dave").check_password("a-quite-different-one")


def test_a_taken_name_and_a_bad_password_are_refused(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    answer = client.post("/admin/users/new", {"username": "bob", "password": "long-enough-12"})
    assert answer.status_code == 422
    assert "A user of this name exists." in text_of(answer)
    answer = client.post("/admin/users/new", {"username": "dave", "password": "short"})
    assert 'id="id_password_error"' in text_of(answer)


def test_switches(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    base = f"/admin/users/{cast.bob.pk}/switch"
    for name, field in (("administrator", "is_administrator"), ("auditor", "is_auditor")):
        assert client.post(f"{base}/{name}", {"to": "on"}).status_code == 302
        assert getattr(User.objects.get(pk=cast.bob.pk), field)
    client.post(f"{base}/active", {"to": "off"})
    assert "disabled" in text_of(client.get(f"/admin/users/{cast.bob.pk}"))
    answer = client.post(f"/admin/users/{cast.bob.pk}/reset")
    assert answer.status_code == 422
    assert "This user is disabled" in text_of(answer)
    assert client.post(f"{base}/active", {"to": "maybe"}).status_code == 404
    assert client.post(f"{base}/password", {"to": "on"}).status_code == 404


@pytest.mark.parametrize("name", ["active", "administrator"])
def test_the_last_administrator_stays(cast: Cast, signed_in: SignedIn, name: str) -> None:
    path = f"/admin/users/{cast.admin.pk}"
    answer = signed_in(cast.admin).post(f"{path}/switch/{name}", {"to": "off"})
    assert answer.status_code == 422
    assert "This is the last active administrator" in text_of(answer)
    answer = signed_in(cast.admin).post(f"{path}/delete", {"confirmation": "admin"})
    assert "You cannot delete yourself." in text_of(answer)


def test_who_steps_down_is_not_sent_to_a_refusal(cast: Cast, signed_in: SignedIn) -> None:
    users.set_administrator(cast.alice, is_administrator=True, actor=SYSTEM_ACTOR)
    path = f"/admin/users/{cast.admin.pk}/switch/administrator"
    assert signed_in(cast.admin).post(path, {"to": "off"}).headers["Location"] == "/"


def test_a_user_is_deleted_when_the_name_is_typed(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    path = f"/admin/users/{cast.bob.pk}"
    answer = client.post(f"{path}/delete", {"confirmation": "bobby"})
    assert answer.status_code == 422
    assert User.objects.get(pk=cast.bob.pk).deleted_at is None
    assert client.post(f"{path}/delete", {"confirmation": "bob"}).status_code == 302
    assert client.get(path).status_code == 404


def test_a_link_works_once_and_looking_does_not_use_it(cast: Cast, signed_in: SignedIn) -> None:
    page = text_of(signed_in(cast.admin).post(f"/admin/users/{cast.bob.pk}/reset"))
    path = _path_in(page)
    assert "short" not in text_of(Client().get(path)).partition("</main>")[0]
    assert Client().post(path, {"password": "short"}).status_code == 422
    assert Client().get(path).headers["Referrer-Policy"] == "strict-origin"
    _use(page, "a-quite-different-one")
    assert Client().get("/account/reset").status_code == 404
    gone = Client().get(path)
    assert gone.status_code == 404
    assert "This link was used already" in text_of(gone)


def test_the_audit_is_filtered(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    AuditEntry.objects.create(
        actor_kind="user",
        actor_name="bob",
        action="delete_tag",
        resource="team/app:<1>",
        project_id=cast.team.pk,
        outcome="denied",
        address="192.0.2.7",
        request_id="req-77",
        detail={"reason": "no"},
    )
    page = text_of(client.get("/admin/audit"))
    assert "192.0.2.7" in page
    assert "req-77" in page
    assert "team/app:&lt;1&gt;" in page
    matching = (
        {"actor": "bob"},
        {"action": "delete_tag"},
        {"project": "team", "resource": "APP"},
        {"outcome": "denied"},
        {"actor": "bob", "since": "2020-01-01", "until": "2999-01-01"},
    )
    for data in matching:
        found = text_of(fragment(client, "/admin/audit", "rows", **data))
        assert found.count("<tr>") == 2, data
        assert "req-77" in found
    for data in ({"actor": "bo"}, {"project": "library", "actor": "bob"}, {"until": "2020-01-01"}):
        assert "No entry matches" in text_of(client.get("/admin/audit", data))
    for data in (
        {"since": "soon"},
        {"until": "0001-01-01"},
        {"actor": "a,b"},
        {"outcome": "perhaps"},
    ):
        assert client.get("/admin/audit", data).status_code == 422


def test_the_export_holds_what_the_page_shows(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    filters = {
        "actor": "system",
        "action": "create_member",
        "outcome": "success",
        "resource": "a",
        "since": "2020-01-01",
        "until": "2999-01-01",
    }
    for data in (filters, {**filters, "project": "team"}):
        page = text_of(client.get("/admin/audit", data))
        link = re.search(r'href="(/api/[^"]+)"', page)
        assert link, data
        answer = client.get(link[1].replace("&amp;", "&"))
        assert answer.status_code == 200
        lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
        # Beside the heads: a row of the page, a line of the file.
        assert len(lines) == page.partition("</main>")[0].count("<tr>")


def test_older_entries_follow_without_gap(
    cast: Cast, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(actor_kind="user", actor_name="x", action="login_user", resource=f"r{n:03}")
        for n in range(120)
    )
    client = signed_in(cast.admin)
    path, seen = "/admin/audit?actor=x", []
    for _number in range(3):
        with django_assert_max_num_queries(10):
            page = text_of(client.get(path))
        seen += re.findall(r">(r\d{3})<", page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = "/admin/audit" + older[1].replace("&amp;", "&") if older else ""
    assert seen == [f"r{n:03}" for n in reversed(range(120))]
    assert not path


def test_few_queries(
    cast: Cast, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in(cast.admin)
    for path in (*PAGES, f"/admin/users/{cast.bob.pk}"):
        with django_assert_max_num_queries(10):
            client.get(path)


def _path_in(page: str) -> str:
    found = re.search(r"<code>https?://[^/]+(/account/reset\?key=[^<]+)</code>", page)
    assert found
    return found[1]


def _use(page: str, password: str) -> None:
    answer = Client().post(_path_in(page), {"password": password})
    assert answer.headers["Location"] == "/account/sign-in"
