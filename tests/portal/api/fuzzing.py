"""Requests made by schemathesis from an OpenAPI document, sent to the API in this process.

Each request begins from the same rows and leaves none behind. Half of the names and numbers in
paths are of things that exist, for random ones would only ever meet 404. The run is the same each
time; ``MOORAGE_TEST_FUZZ=500`` makes that many requests of an operation, new ones each time.
"""

import os
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import schemathesis
from django.core import signals
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from accounts import personal_tokens, robots
from accounts.principals import SYSTEM_ACTOR
from accounts.robots import Permission, Terms
from registry_sync import labels
from registry_sync.labels import Look
from tests.conftest import Cast, password_of
from tests.factories import make_image, make_repository, push_image

_LONG = int(os.environ.get("MOORAGE_TEST_FUZZ", "0"))
_EXAMPLES = _LONG or 6
# Each answer is of a status, form and content that the document knows, and never a fault.
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
Known = dict[str, list[str]]


def load(document: dict[str, Any]) -> Any:
    """Return the document as schemathesis reads it, for the API in this process."""
    schema = schemathesis.openapi.from_dict(document)
    schema.app = get_wsgi_application()
    return schema


def operations(schema: Any) -> Iterator[APIOperation[Any, Any, Any, Any]]:
    """Return every operation; one that cannot be read raises."""
    for result in schema.get_all_operations():
        yield result.ok()


def things(cast: Cast) -> Known:
    """Make one of each thing; return its name or number by the name it has in paths."""
    repository = make_repository(cast.team, "app")
    image = make_image()
    push_image(repository, image, tag="latest")
    label = labels.create(cast.team, look=Look(name="tested"), actor=SYSTEM_ACTOR)
    terms = Terms(permissions=(Permission("repository:pull", cast.team),))
    robot, _secret = robots.create(name="ci", project=cast.team, terms=terms, actor=SYSTEM_ACTOR)
    token, _secret = personal_tokens.create(
        cast.admin, name="reader", scopes=["api:read"], days=1, actor=SYSTEM_ACTOR
    )
    project = ["team", "library", str(cast.team.pk)]
    return {
        "name_or_id": project,
        "project_name": project,
        "project_name_or_id": project,
        "path": ["app"],
        "repository_name": ["app"],
        "reference": ["latest", image.digest],
        "tag": ["latest"],
        "tag_name": ["latest"],
        "label_id": [str(label.pk)],
        "robot_id": [str(robot.pk)],
        "token_id": [str(token.pk)],
        "user_id": [str(cast.bob.pk)],
        "quota_id": [str(cast.team.pk)],
        "id": [str(cast.team.pk)],
    }


def fuzz(
    operation: APIOperation[Any, Any, Any, Any],
    known: Known,
    checks_of: Callable[[Any], list[Any]] = lambda response: CHECKS,
) -> None:
    """Send requests that the document allows, and requests that it does not."""
    modes = [
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    ]

    @settings(
        max_examples=_EXAMPLES,
        derandomize=not _LONG,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate] + ([Phase.shrink] if _LONG else []),
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def ask(data: DataObject) -> None:
        case = data.draw(st.one_of(*modes))
        for name in case.path_parameters or {}:
            if name in known and data.draw(st.booleans()):
                case.path_parameters[name] = data.draw(st.sampled_from(known[name]))
        with transaction.atomic():
            response = case.call(headers={"Authorization": _administrator()})
            transaction.set_rollback(True)
        case.validate_response(response, checks=checks_of(response))

    with _kept_connection(), _no_network():
        ask()


@contextmanager
def _kept_connection() -> Iterator[None]:
    """Keep the test's connection to the database open, as Django's own test client does."""
    moments = (signals.request_started, signals.request_finished)
    for moment in moments:
        moment.disconnect(close_old_connections)
    try:
        yield
    finally:
        for moment in moments:
            moment.connect(close_old_connections)


@contextmanager
def _no_network() -> Iterator[None]:
    """Let no request that somebody's generator made up leave this process: it names hosts."""
    nobody = socket.gaierror("no network in tests")
    with (
        mock.patch.object(socket, "getaddrinfo", side_effect=nobody),
        mock.patch.object(socket.socket, "connect", side_effect=nobody),
    ):
        yield


def _administrator() -> str:
    return "Basic " + b64encode(f"admin:{password_of('admin')}".encode()).decode()
