"""What a caller sees when something breaks behind an endpoint."""

import logging
from collections.abc import Callable

import pytest
from django.db import OperationalError

from accounts import projects
from tests.portal.api.conftest import Caller, error_of

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]


def test_a_bug_is_one_line_for_the_caller_and_one_record_for_us(
    caller: Callers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError("inner workings")

    monkeypatch.setattr(projects, "create", broken)
    with caplog.at_level(logging.ERROR):
        response = caller("bob").post("projects", {"project_name": "x"})
    assert response.status_code == 500
    assert response["X-Request-Id"] in error_of(response)[1]
    assert b"inner" not in response.content
    assert len(caplog.records) == 1


def test_a_busy_database_is_worth_another_try(
    caller: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(**_: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(projects, "create", busy)
    response = caller("bob").post("projects", {"project_name": "x"})
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
