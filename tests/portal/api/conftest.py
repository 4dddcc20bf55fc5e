"""Calling the API as somebody of the cast."""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from tests.conftest import password_of

ROOT = "/api/v2.0"
# The test client's response has no public type.
Answer = Any


def basic(username: str, password: str) -> str:
    """Make an Authorization header."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


@dataclass(frozen=True)
class Caller:
    """Somebody with a client; an empty username sends no credentials."""

    client: Client
    username: str
    # Sent in place of the user's password.
    header: str = ""

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request; ``body`` is JSON; headers are written ``X_Is_Resource_Name``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.header:
            sent.setdefault("Authorization", self.header)
        elif self.username:
            sent.setdefault("Authorization", basic(self.username, password_of(self.username)))
        data = body if isinstance(body, (bytes, str)) else json.dumps(body)
        content_type = sent.pop("Content-Type", "application/json")
        return self.client.generic(
            method,
            path if path.startswith("/") else f"{ROOT}/{path}",
            data="" if body is None else data,
            content_type=content_type,
            headers=sent,
        )

    def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return self.call("GET", path, **headers)

    def post(self, path: str, body: object, **headers: str) -> Answer:
        """POST JSON."""
        return self.call("POST", path, body, **headers)


def told(response: Answer) -> Any:
    """Return the JSON of an answer."""
    return json.loads(response.content)


def error_of(response: Answer) -> tuple[str, str]:
    """Return code and message of an error, having checked the form of the whole."""
    body = told(response)
    assert list(body) == ["errors"]
    (error,) = body["errors"]
    assert set(error) == {"code", "message"}
    return error["code"], error["message"]


@pytest.fixture
def caller(client: Client, cast: object) -> Callable[[str], Caller]:
    """Return a function from a username of the cast (or nothing) to a caller."""

    def find(username: str) -> Caller:
        return Caller(client, username)

    return find
