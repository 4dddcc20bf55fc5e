"""Looking at pages as somebody of the cast."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from portal.web.access import EPOCH_KEY, SEEN_KEY

# The test client's response has no public type.
Answer = Any
SignedIn = Callable[[User | None], Client]


@pytest.fixture
def signed_in() -> SignedIn:
    """Return a browser in which this person has signed in; nobody where None is given."""

    def browser(user: User | None) -> Client:
        client = Client()
        if user is not None:
            client.force_login(user)
            session = client.session
            session[EPOCH_KEY] = user.auth_epoch
            session[SEEN_KEY] = time.time()
            session.save()
        return client

    return browser


def text_of(answer: Answer) -> str:
    """Return a page's HTML."""
    return str(answer.content.decode())


def fragment(client: Client, path: str, target: str, **data: str) -> Answer:
    """Ask for a part of a page as htmx does."""
    headers = {"HX-Request": "true", "HX-Target": target}
    return client.get(path, data, headers=headers)
