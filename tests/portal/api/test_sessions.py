"""/users/current/sessions."""

import datetime
from collections.abc import Callable

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts import sessions, users
from accounts.models import User, UserSession
from accounts.principals import ANONYMOUS, SYSTEM_ACTOR, Actor
from tests.portal.api.conftest import Caller, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
SESSIONS = "/api/v2.0/users/current/sessions"


def browser_of(user: User) -> Client:
    """Sign somebody in as the page does."""
    client = Client()
    client.force_login(user)
    session = client.session
    session["auth_epoch"] = user.auth_epoch
    session.save()
    actor = Actor(ANONYMOUS, "192.0.2.1", "c0ffee", "Firefox")
    sessions.start(user, session_key=session.session_key or "", actor=actor)
    return client


def test_where_one_is_signed_in(bob: User) -> None:
    browser, _other = browser_of(bob), browser_of(bob)
    listed = browser.get(SESSIONS).json()
    assert [row["is_current"] for row in listed].count(True) == 1
    assert set(listed[0]) == {
        "id",
        "address",
        "client",
        "creation_time",
        "last_seen_time",
        "is_current",
    }
    assert str(browser.session.session_key) not in str(listed)


def test_by_password_none_is_the_current_one(caller: Callers, bob: User) -> None:
    browser_of(bob)
    (listed,) = told(caller("bob").get(SESSIONS))
    assert listed["is_current"] is False


def test_one_that_is_ended_stops_at_once(caller: Callers, bob: User) -> None:
    browser = browser_of(bob)
    number = UserSession.objects.get().pk
    assert caller("bob").call("DELETE", f"{SESSIONS}/{number}").status_code == 200
    assert browser.get(SESSIONS).status_code == 401


def test_anothers_is_not_there(caller: Callers, alice: User) -> None:
    browser = browser_of(alice)
    number = UserSession.objects.get().pk
    response = caller("bob").call("DELETE", f"{SESSIONS}/{number}")
    assert response.status_code == 404
    assert response.content == caller("bob").call("DELETE", f"{SESSIONS}/999999").content
    assert browser.get(SESSIONS).status_code == 200


def test_a_disabled_users_stops_at_once(bob: User) -> None:
    browser = browser_of(bob)
    users.set_active(bob, is_active=False, actor=SYSTEM_ACTOR)
    assert browser.get(SESSIONS).status_code == 401


def test_a_call_is_seen(bob: User) -> None:
    browser = browser_of(bob)
    later = timezone.now() + datetime.timedelta(minutes=6)
    with time_machine.travel(later, tick=False):
        browser.get(SESSIONS)
    assert UserSession.objects.get().last_seen_at >= later - datetime.timedelta(seconds=1)


def test_other_methods(caller: Callers, cast: object) -> None:
    assert caller("bob").post(SESSIONS, {}).status_code == 405
