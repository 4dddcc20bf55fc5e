"""Signing in and out, language and theme."""

import pytest
from django.test import Client

from accounts import sessions
from accounts.models import User
from accounts.principals import SYSTEM_ACTOR
from tests.conftest import Cast, password_of
from tests.portal.web.conftest import SignedIn, text_of

PATH = "/account/sign-in"


def credentials(username: str, **more: str) -> dict[str, str]:
    """Fill in the form."""
    return {"username": username, "password": password_of(username), **more}


def test_signing_in_begins_a_session(alice: User) -> None:
    client = Client()
    answer = client.post(PATH, credentials("alice"))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert "Account of alice" in text_of(client.get("/"))


def test_signing_in_changes_the_sessions_key(alice: User) -> None:
    client = Client()
    session = client.session
    session["seen"] = True
    session.save()
    before = session.session_key
    client.post(PATH, credentials("alice"))
    assert client.session.session_key != before


@pytest.mark.parametrize("username", ["alice", "nobody"])
def test_a_wrong_password_and_an_unknown_user_read_alike(alice: User, username: str) -> None:
    answer = Client().post(PATH, {"username": username, "password": "not-the-password"})
    assert answer.status_code == 422
    assert "The username or the password is wrong." in text_of(answer)
    assert "not-the-password" not in text_of(answer)


def test_a_disabled_user_cannot_sign_in(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert Client().post(PATH, credentials("alice")).status_code == 422


def test_an_empty_form_names_what_is_missing(db: None) -> None:
    answer = Client().post(PATH, {"username": "", "password": ""})
    assert answer.status_code == 422
    assert 'id="id_username_error"' in text_of(answer)


def test_too_many_attempts_are_told_to_wait(alice: User) -> None:
    client = Client()
    for _ in range(7):
        answer = client.post(PATH, {"username": "alice", "password": "wrong-wrong-12"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/p/team?q=x", "/p/team?q=x"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_next_stays_on_this_host(alice: User, wanted: str, reached: str) -> None:
    answer = Client().post(PATH, credentials("alice", next=wanted))
    assert answer.headers["Location"] == reached


def test_who_is_signed_in_already_goes_on(alice: User, signed_in: SignedIn) -> None:
    answer = signed_in(alice).get(PATH, {"next": "/p/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/p/")


def test_a_sign_in_is_remembered_until_signing_out(alice: User) -> None:
    client = Client()
    client.post(PATH, credentials("alice"), headers={"User-Agent": "a browser"})
    row = sessions.of_user(alice).get()
    assert (row.session_key, row.client) == (client.session.session_key, "a browser")
    client.post("/account/sign-out")
    assert not alice.browser_sessions.exists()


def test_a_session_that_was_ended_elsewhere_is_over(alice: User) -> None:
    client = Client()
    client.post(PATH, credentials("alice"))
    sessions.end(alice, sessions.of_user(alice).get().pk, actor=SYSTEM_ACTOR)
    assert client.get("/").status_code == 302


def test_signing_out_ends_the_session(alice: User, signed_in: SignedIn) -> None:
    client = signed_in(alice)
    assert client.post("/account/sign-out").headers["Location"] == PATH
    assert client.get("/").status_code == 302


def test_a_form_from_elsewhere_is_refused(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(PATH, credentials("alice")).status_code == 403


@pytest.mark.parametrize(
    ("code", "lang", "word"),
    [("en", "en", "Projects"), ("zh-hant", "zh-Hant", "專案"), ("zh-hans", "zh-Hans", "项目")],
)
def test_the_language_is_remembered(cast: Cast, code: str, lang: str, word: str) -> None:
    client = Client()
    answer = client.post(
        "/account/language", {"language": code}, headers={"Referer": "http://testserver/p/"}
    )
    assert answer.headers["Location"].endswith("/p/")
    page = text_of(client.get("/p/"))
    assert f'<html lang="{lang}"' in page
    assert word in page


def test_the_browsers_language_is_used_at_first(cast: Cast) -> None:
    page = text_of(Client().get("/p/", headers={"Accept-Language": "zh-TW,zh;q=0.9"}))
    assert '<html lang="zh-Hant"' in page


@pytest.mark.parametrize(
    ("theme", "shown"),
    [
        ("dark", 'data-theme="dark" data-bs-theme="dark"'),
        ("light", 'data-theme="light" data-bs-theme="light"'),
        ("system", 'data-theme="system">'),
        ("<script>", 'data-theme="system">'),
    ],
)
def test_the_theme_is_remembered(cast: Cast, theme: str, shown: str) -> None:
    client = Client()
    assert client.post("/account/theme", {"theme": theme}).status_code == 302
    assert shown in text_of(client.get("/p/"))


def test_the_theme_switch_does_not_lead_elsewhere(db: None) -> None:
    answer = Client().post(
        "/account/theme", {"theme": "dark"}, headers={"Referer": "https://evil.example/"}
    )
    assert answer.headers["Location"] == "/"
