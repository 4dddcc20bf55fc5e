"""Basic credentials and the browser's session, at the API's door."""

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import AuditEntry, User
from tests.portal.api.conftest import Caller, basic, error_of, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
WHO = "/api/v2.0/users/current"


class TestBasic:
    @pytest.mark.parametrize(
        "header",
        [
            "Basic",
            "Basic ",
            "Basic !!!",
            "Basic =",
            "Basic \xe9",
            "Basic Ym9i",  # "bob", without a colon
            "Basic OnBhc3N3b3Jk",  # ":password"
            "Basic /////w==",  # not UTF-8
            "Basic Ym9iAGI6eA==",  # a NUL in the name
            "Bearer mrg_pat_x",
            "Digest username=bob",
            "bob:bob-password-12",
            "Basic " + "A" * 6000,
        ],
    )
    def test_malformed_headers_are_401(self, client: Client, cast: object, header: str) -> None:
        response = client.get(WHO, headers={"Authorization": header})
        assert response.status_code == 401, response.content
        assert response["WWW-Authenticate"] == 'Basic realm="Moorage"'
        assert error_of(response)[0] == "UNAUTHORIZED"

    def test_unknown_wrong_and_disabled_are_one_answer(self, caller: Callers) -> None:
        User.objects.filter(username="carol").update(is_active=False)
        answers = {
            caller("").get(WHO, Authorization=basic(name, password)).content
            for name, password in (
                ("bob", "not his password"),
                ("nobody", "not his password"),
                ("carol", "carol-password-12"),
            )
        }
        assert len(answers) == 1

    def test_wrong_credentials_do_not_fall_back_to_nobody(self, caller: Callers) -> None:
        response = caller("").get("projects", Authorization=basic("bob", "not his password"))
        assert response.status_code == 401

    def test_guessing_is_slowed_down(self, caller: Callers) -> None:
        for _ in range(5):
            caller("").get(WHO, Authorization=basic("bob", "not his password"))
        response = caller("").get(WHO, Authorization=basic("bob", "another guess"))
        assert response.status_code == 429
        assert int(response["Retry-After"]) >= 1
        assert error_of(response)[0] == "TOOMANYREQUESTS"

    def test_a_refusal_is_in_the_audit(self, caller: Callers) -> None:
        caller("").get(WHO, Authorization=basic("bob", "guess"), X_Real_IP="192.0.2.1")
        entry = AuditEntry.objects.get(outcome="denied")
        assert (entry.resource, entry.address) == ("bob", "192.0.2.1")
        assert "guess" not in str(vars(entry))

    def test_the_name_is_read_whatever_its_case(self, caller: Callers) -> None:
        header = basic("BOB", "bob-password-12")
        assert told(caller("").get(WHO, Authorization=header))["username"] == "bob"


@pytest.fixture
def browser(bob: User) -> Client:
    """Bob's browser, which has to prove that a form came from a page of ours."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    session = client.session
    session["auth_epoch"] = bob.auth_epoch
    session.save()
    return client


def make_project(browser: Client, **headers: str) -> int:
    """POST from the browser; return the status."""
    response = browser.post(
        "/api/v2.0/projects",
        {"project_name": "tools"},
        content_type="application/json",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    return response.status_code


class TestBrowser:
    def test_a_session_is_its_user(self, browser: Client) -> None:
        assert browser.get(WHO).json()["username"] == "bob"

    def test_a_change_needs_the_token(self, browser: Client, settings: object) -> None:
        assert make_project(browser) == 403
        token = "a" * 32
        browser.cookies[settings.CSRF_COOKIE_NAME] = token  # type: ignore[attr-defined]
        assert make_project(browser, X_CSRFToken="b" * 32) == 403
        assert make_project(browser, X_CSRFToken=token) == 201

    def test_the_refusal_says_why(self, browser: Client) -> None:
        response = browser.post("/api/v2.0/projects", {}, content_type="application/json")
        assert error_of(response)[0] == "FORBIDDEN"
        assert "CSRF" in error_of(response)[1]

    def test_basic_credentials_need_no_token(self, browser: Client) -> None:
        header = basic("alice", "alice-password-12")
        assert make_project(browser, Authorization=header) == 201

    def test_a_raised_epoch_ends_the_session(self, browser: Client) -> None:
        User.objects.filter(username="bob").update(auth_epoch=2)
        response = browser.get(WHO)
        assert response.status_code == 401
        assert error_of(response)[1] == "The session has ended; sign in again."

    def test_a_session_without_an_epoch_is_none(self, browser: Client) -> None:
        session = browser.session
        del session["auth_epoch"]
        session.save()
        assert browser.get(WHO).status_code == 401

    def test_a_disabled_user_is_refused_even_where_strangers_are_not(self, browser: Client) -> None:
        User.objects.filter(username="bob").update(is_active=False)
        assert browser.get(WHO).status_code == 401
        assert browser.get("/api/v2.0/projects").status_code == 401

    def test_a_page_gets_no_password_dialogue(self, browser: Client) -> None:
        User.objects.filter(username="bob").update(auth_epoch=2)
        assert "WWW-Authenticate" not in browser.get(WHO)
        assert "WWW-Authenticate" not in Client().get(
            WHO, headers={"Sec-Fetch-Site": "same-origin"}
        )
        assert "WWW-Authenticate" in Client().get(WHO)
