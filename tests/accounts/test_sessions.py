"""Browser sessions: seen and ended by their owner."""

import datetime

import pytest
import time_machine
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts import sessions, users
from accounts.errors import NotFound
from accounts.models import AuditEntry, User, UserSession
from accounts.principals import ANONYMOUS, Actor

pytestmark = pytest.mark.django_db
ACTOR = Actor(ANONYMOUS, "192.0.2.1", "c0ffee", "Firefox")


def sign_in(user: User, *, hours: int = 1) -> UserSession:
    """Make a Django session and its row."""
    store = SessionStore()
    store.set_expiry(hours * 3600)
    store.save()
    assert store.session_key
    return sessions.start(user, session_key=store.session_key, actor=ACTOR)


def exists(session: UserSession) -> bool:
    """Tell whether both the row and Django's session are there."""
    here = UserSession.objects.filter(pk=session.pk).exists()
    assert Session.objects.filter(session_key=session.session_key).exists() is here
    return here


class TestList:
    def test_where_from_and_with_what(self, bob: User) -> None:
        sign_in(bob)
        session = sessions.of_user(bob).get()
        assert (session.address, session.client) == ("192.0.2.1", "Firefox")

    def test_only_ones_own(self, alice: User, bob: User) -> None:
        sign_in(alice)
        assert not sessions.of_user(bob).exists()

    def test_expired_ones_are_gone(self, bob: User) -> None:
        sign_in(bob, hours=1)
        with time_machine.travel(timezone.now() + datetime.timedelta(hours=2), tick=False):
            assert not sessions.of_user(bob).exists()
            assert sessions.remove_stale() == 1
        assert not UserSession.objects.exists()

    def test_the_last_seen_is_noted_every_five_minutes(self, bob: User) -> None:
        session = sign_in(bob)
        start = session.last_seen_at
        for minutes, seen in ((4, start), (6, start + datetime.timedelta(minutes=6))):
            with time_machine.travel(start + datetime.timedelta(minutes=minutes), tick=False):
                sessions.note_seen(session.session_key, address="192.0.2.7")
            session.refresh_from_db()
            assert abs(session.last_seen_at - seen) < datetime.timedelta(seconds=1)
        assert session.address == "192.0.2.7"


class TestEnd:
    def test_one(self, bob: User) -> None:
        first, second = sign_in(bob), sign_in(bob)
        sessions.end(bob, first.pk, actor=ACTOR)
        assert not exists(first)
        assert exists(second)
        assert AuditEntry.objects.filter(action="delete_session").count() == 1

    def test_not_anothers(self, alice: User, bob: User) -> None:
        session = sign_in(alice)
        with pytest.raises(NotFound):
            sessions.end(bob, session.pk, actor=ACTOR)
        assert exists(session)

    def test_all_others(self, alice: User, bob: User) -> None:
        mine, other, foreign = sign_in(bob), sign_in(bob), sign_in(alice)
        assert sessions.end_others(bob, session_key=mine.session_key, actor=ACTOR) == 1
        assert (exists(mine), exists(other), exists(foreign)) == (True, False, True)
        assert sessions.end_others(bob, session_key=mine.session_key, actor=ACTOR) == 0

    def test_signing_out_forgets(self, bob: User) -> None:
        session = sign_in(bob)
        sessions.forget(session.session_key)
        assert not UserSession.objects.exists()

    def test_a_new_password_and_disabling_end_all(self, alice: User, bob: User) -> None:
        session, foreign = sign_in(bob), sign_in(alice)
        users.change_password(bob, password="a password of their own", actor=ACTOR)
        assert not exists(session)
        session = sign_in(bob)
        users.set_active(bob, is_active=False, actor=ACTOR)
        assert not exists(session)
        assert exists(foreign)
