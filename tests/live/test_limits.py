"""Limits as their users meet them: a robot's tag patterns, a disabled user, a full project."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.live.client import (
    PASSWORD,
    Image,
    make_image,
    make_project,
    make_user,
    pusher,
    run_in,
    unique,
)
from tests.live.stack import Stack

pytestmark = pytest.mark.live

PUSHES = 20
ROOM = 10
USED = """
from accounts.models import Project
from registry_sync.models import Artifact, ArtifactBlob, Blob
project = Project.objects.get(name="{name}")
live = Artifact.objects.live().filter(repository__project=project)
needed = set(live.values_list("body_id", flat=True))
needed |= set(ArtifactBlob.objects.filter(artifact__in=live).values_list("blob_id", flat=True))
sizes = Blob.objects.filter(digest__in=needed).values_list("size", flat=True)
print(project.usage.used_bytes, sum(sizes))
"""
DENIED = """
from accounts.models import AuditEntry
print(AuditEntry.objects.filter(actor_name__contains="{name}", outcome="denied").count())
"""


def ask(stack: Stack, method: str, path: str, body: object = None) -> requests.Response:
    """Ask the API as the administrator."""
    who = ("admin", stack.admin_password)
    return stack.request(method, f"/api/v2.0/{path}", auth=who, json=body)


def test_a_robot_with_a_pattern_pushes_pr_1_and_is_refused_latest(
    stack: Stack, image: Path
) -> None:
    project = make_project(stack)
    actions = ("pull", "push")
    access = [{"resource": "repository", "action": action} for action in actions]
    robot = {
        "name": "ci",
        "level": "project",
        "duration": 1,
        "push_tag_patterns": ["pr-*"],
        "permissions": [{"kind": "project", "namespace": project, "access": access}],
    }
    made = ask(stack, "POST", "robots", robot)
    assert made.status_code == 201, made.text
    who = {"username": made.json()["name"], "password": made.json()["secret"]}
    allowed = stack.push(image, f"{project}/app:pr-1", **who)
    assert allowed.returncode == 0, allowed.stderr
    refused = stack.push(image, f"{project}/app:latest", **who)
    assert refused.returncode != 0
    assert "pr-*" in refused.stderr
    assert "latest" in refused.stderr
    tags = ask(stack, "GET", f"projects/{project}/repositories/app/artifacts/pr-1/tags")
    assert [tag["name"] for tag in tags.json()] == ["pr-1"]
    assert (
        ask(stack, "GET", f"projects/{project}/repositories/app/artifacts/latest").status_code
        == 404
    )
    assert run_in(stack, DENIED.format(name=project)) == "1"


def signed_in(stack: Stack, username: str) -> requests.Session:
    """Sign in with the page's form, as a browser does."""
    session = requests.Session()
    session.trust_env = False
    form = session.get(f"{stack.url}/account/sign-in", timeout=30)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
    assert token is not None
    fields = {"username": username, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    headers = {"Referer": f"{stack.url}/account/sign-in"}
    session.post(f"{stack.url}/account/sign-in", data=fields, headers=headers, timeout=30)
    assert session.get(f"{stack.url}/api/v2.0/users/current", timeout=30).status_code == 200
    return session


def test_a_disabled_users_session_tokens_and_jwt_stop_at_once(stack: Stack) -> None:
    project, username = make_project(stack), make_user(stack)
    member = {"role_id": 2, "member_user": {"username": username}}
    assert ask(stack, "POST", f"projects/{project}/members", member).status_code == 201
    browser = signed_in(stack, username)
    scopes = ["api:read", "api:write", "registry:pull", "registry:push"]
    made = stack.request(
        "POST",
        "/api/v2.0/users/current/tokens",
        auth=(username, PASSWORD),
        json={"name": "laptop", "scopes": scopes, "days": 1},
    )
    assert made.status_code == 201, made.text
    bearer = {"Authorization": f"Bearer {made.json()['secret']}"}
    jwt = pusher(stack, f"{project}/app", username=username, password=PASSWORD)
    jwt.push_image(f"{project}/app")

    def statuses() -> list[int]:
        me = "/api/v2.0/users/current"
        return [
            browser.get(f"{stack.url}{me}", timeout=30).status_code,
            browser.get(f"{stack.url}/", timeout=30, allow_redirects=False).status_code,
            stack.get(me, headers=bearer).status_code,
            stack.get(me, auth=(username, PASSWORD)).status_code,
            stack.get(
                "/service/token",
                params={"service": "moorage"},
                auth=(username, made.json()["secret"]),
            ).status_code,
            jwt.ask("GET", f"/v2/{project}/app/manifests/latest").status,
            jwt.start_upload(f"{project}/app").status,
        ]

    assert statuses() == [200, 200, 200, 200, 200, 200, 202]
    run_in(stack, _DISABLE.format(name=username))
    assert statuses() == [401, 302, 401, 401, 401, 401, 401]


_DISABLE = """
from accounts import users
from accounts.models import User
from accounts.principals import SYSTEM_ACTOR
users.set_active(User.objects.get(username="{name}"), is_active=False, actor=SYSTEM_ACTOR)
"""


def test_of_20_parallel_pushes_into_room_for_10_exactly_10_are_accepted(stack: Stack) -> None:
    project = make_project(stack)
    images = [make_image(f"{project} {number:02}".encode()) for number in range(PUSHES)]
    (size,) = {len(i.config) + len(i.layer) + len(i.manifest) for i in images}
    ask(stack, "PUT", f"projects/{project}", {"storage_limit": ROOM * size + size // 2})
    client = pusher(stack, f"{project}/app")
    for image in images:
        for blob in (image.config, image.layer):
            client.push_blob(f"{project}/app", blob)

    def push(image: Image) -> int:
        return client.push_manifest(f"{project}/app", unique("tag"), image.manifest).status

    with ThreadPoolExecutor(PUSHES) as threads:
        statuses = list(threads.map(push, images))
    assert sorted(statuses) == [201] * ROOM + [403] * (PUSHES - ROOM)
    assert run_in(stack, USED.format(name=project)) == f"{ROOM * size} {ROOM * size}"
    tags = json.loads(client.ask("GET", f"/v2/{project}/app/tags/list").body)["tags"]
    assert len(tags) == ROOM
