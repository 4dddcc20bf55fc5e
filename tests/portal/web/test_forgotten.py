"""Asking for a link by mail without being signed in."""

import re

import pytest
from django.core import mail as outgoing
from django.test import Client
from pytest_django import Settings

from accounts import users
from accounts.models import AuditEntry, PasswordReset
from accounts.principals import SYSTEM_ACTOR
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, text_of

PATH = "/account/forgotten"


@pytest.fixture
def sending(settings: Settings) -> None:
    """As with a mail server."""
    settings.MOORAGE_SENDS_MAIL = True


def test_without_a_mail_server_it_is_not_offered(cast: Cast) -> None:
    assert Client().get(PATH).status_code == 404
    assert PATH not in text_of(Client().get("/account/sign-in"))


@pytest.mark.parametrize("name", ["bob", "BOB@example.com"])
def test_the_link_arrives_and_works(cast: Cast, sending: None, name: str) -> None:
    assert PATH in text_of(Client().get("/account/sign-in"))
    assert Client().post(PATH, {"name": name}).status_code == 200
    (message,) = outgoing.outbox
    assert message.to == ["bob@example.com"]
    link = re.search(r"https?://[^/\s]+(/account/reset\S+)", str(message.body))
    assert link
    answer = Client().post(link[1], {"password": "a-quite-different-one"})
    assert answer.headers["Location"] == "/account/sign-in"
    entry = AuditEntry.objects.get(action="create_password_reset")
    assert (entry.actor_name, entry.resource) == ("anonymous", "bob")


def test_the_answer_tells_nothing(cast: Cast, sending: None) -> None:
    users.set_active(cast.carol, is_active=False, actor=SYSTEM_ACTOR)
    answers = set()
    for name in ("bob", "carol", "nobody", "nobody@example.com"):
        page = text_of(Client().post(PATH, {"name": name}))
        answers.add(re.sub(r'value="[^"]+"', "", page))
    assert len(answers) == 1
    assert [message.to for message in outgoing.outbox] == [["bob@example.com"]]


def test_one_user_is_not_flooded(cast: Cast, sending: None) -> None:
    for name in ("bob", "bob@example.com", "bob"):
        Client().post(PATH, {"name": name})
    assert len(outgoing.outbox) == 1
    assert PasswordReset.objects.count() == 1


def test_asking_again_and_again_is_slowed_down(cast: Cast, sending: None) -> None:
    answers = [Client().post(PATH, {"name": "nobody"}) for _number in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert 'value="nobody"' in text_of(answers[-1])


def test_an_administrators_link_is_mailed_and_not_shown(
    cast: Cast, sending: None, signed_in: SignedIn
) -> None:
    client = signed_in(cast.admin)
    answer = client.post(f"/admin/users/{cast.bob.pk}/reset", follow=True)
    assert "on its way to bob@example.com" in text_of(answer)
    assert "/account/reset?key=" not in text_of(answer)
    assert "/account/reset?key=" in str(outgoing.outbox[0].body)


def test_without_an_address_the_link_is_shown(
    cast: Cast, sending: None, signed_in: SignedIn
) -> None:
    users.update_profile(cast.bob, email="", actor=SYSTEM_ACTOR)
    page = text_of(signed_in(cast.admin).post(f"/admin/users/{cast.bob.pk}/reset"))
    assert "this user has no e-mail address" in page
    assert "/account/reset?key=" in page
