"""Images go to other registries: whole, once, and on after whatever broke off."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from registry_sync.client import outbound
from registry_sync.client.remote import RemoteRegistry
from registry_sync.manifests import IMAGE_TYPES, INDEX_TYPES
from tests.factories import Image, descriptor, make_image
from tests.live.client import blobs_of, make_project, unique
from tests.live.images import write_index
from tests.live.plain_registry import PASSWORD, USERNAME, PlainRegistry
from tests.live.stack import PATIENCE, Stack, wait_for
from tests.live.test_remote_registry import push

pytestmark = pytest.mark.live

TYPES = IMAGE_TYPES | INDEX_TYPES
Ask = Callable[..., requests.Response]


@pytest.fixture
def other(tmp_path: Path) -> Iterator[PlainRegistry]:
    """A registry with a password."""
    running = PlainRegistry(tmp_path / "other", with_password=True).start()
    yield running
    running.stop()


@pytest.fixture
def ask(stack: Stack) -> Ask:
    """Return a function that asks the API as the administrator."""

    def send(method: str, path: str, body: object = None, *statuses: int) -> requests.Response:
        answer = requests.request(
            method,
            f"{stack.url}/api/v2.0/{path}",
            json=body,
            auth=("admin", stack.admin_password),
            timeout=PATIENCE,
        )
        assert answer.status_code in (statuses or (200, 201)), answer.text
        return answer

    return send


def client_of(stack: Stack) -> RemoteRegistry:
    session = outbound.session(outbound.OPERATOR)
    return RemoteRegistry(
        stack.url, username="admin", password=stack.admin_password, session=session
    )


def client_there(other: PlainRegistry) -> RemoteRegistry:
    session = outbound.session(outbound.OPERATOR)
    return RemoteRegistry(other.url, username=USERNAME, password=PASSWORD, session=session)


def make_policy(ask: Ask, other: PlainRegistry, name: str, **fields: Any) -> int:
    """Add a registry and a policy that copies a project there; return the policy's number."""
    credential = {"type": "basic", "access_key": USERNAME, "access_secret": PASSWORD}
    body = {"name": unique("other"), "url": other.url, "credential": credential}
    ask(
        "POST",
        "registries/ping",
        {"url": other.url, "access_key": USERNAME, "access_secret": PASSWORD},
    )
    registry = ask("POST", "registries", body).headers["Location"].rpartition("/")[2]
    ask("POST", "registries/ping", {"id": int(registry)})
    policy = {
        "name": unique("policy"),
        "dest_registry": {"id": int(registry)},
        "filters": [{"type": "name", "value": f"{name}/**"}],
        **fields,
    }
    return int(ask("POST", "replication/policies", policy).headers["Location"].rpartition("/")[2])


def run(ask: Ask, policy: int) -> dict[str, Any]:
    """Run a policy and return the run once it has ended."""
    started = ask("POST", "replication/executions", {"policy_id": policy})
    path = started.headers["Location"].partition("/v2.0/")[2]
    shown: dict[str, Any] = {}

    def has_ended() -> bool:
        shown.update(ask("GET", path).json())
        return str(shown["status"]) != "InProgress"

    wait_for(has_ended, "the replication")
    return shown


def log_of(ask: Ask, shown: dict[str, Any]) -> str:
    tasks = ask("GET", f"replication/executions/{shown['id']}/tasks?page_size=100").json()
    base = f"replication/executions/{shown['id']}/tasks"
    return "\n".join(ask("GET", f"{base}/{task['id']}/log").text for task in tasks)


def signature_of(image: Image, word: str) -> Image:
    subject = descriptor(image.content, image.media_type)
    kind = "application/vnd.dev.cosign.artifact.sig.v1+json"
    return make_image(word, artifactType=kind, subject=subject)


def test_images_indexes_and_signatures_arrive_and_nothing_is_done_twice(
    stack: Stack, ask: Ask, other: PlainRegistry, index: Path
) -> None:
    project = make_project(stack)
    assert stack.push(index, f"{project}/deep/app:1.0").returncode == 0
    ours, image = client_of(stack), make_image()
    push(ours, f"{project}/tool", image, "v1", "v2")
    signature = signature_of(image, unique("signature"))
    push(ours, f"{project}/tool", signature)
    policy = make_policy(ask, other, project, dest_namespace="mirror")
    shown = run(ask, policy)
    assert (shown["status"], shown["total"], shown["succeed"]) == ("Succeed", 2, 2), shown
    there = client_there(other)
    digest = ours.tagged_digest(f"{project}/deep/app", "1.0", types=TYPES)
    assert there.tagged_digest("mirror/app", "1.0", types=TYPES) == digest
    assert there.tagged_digest("mirror/tool", "v2", types=TYPES) == image.digest
    assert there.has_manifest("mirror/tool", signature.digest, types=TYPES)
    # distribution keeps no referrers: the list is ours, by the tag schema.
    assert there.referrers("mirror/tool", image.digest) == [signature.digest]
    before = len(other.requests())
    again = run(ask, policy)
    assert (again["status"], again["total"]) == ("Succeed", 0)
    asked = [entry for entry in other.requests()[before:] if entry[2] != 401]
    assert sorted(path for _method, path, _status in asked) == [
        "/v2/mirror/app/manifests/1.0",
        "/v2/mirror/tool/manifests/v1",
        "/v2/mirror/tool/manifests/v2",
    ]
    # What is attached later follows.
    later = signature_of(image, unique("later"))
    push(ours, f"{project}/tool", later)
    assert run(ask, policy)["status"] == "Succeed"
    assert there.has_manifest("mirror/tool", later.digest, types=TYPES)
    assert there.referrers("mirror/tool", image.digest) == [signature.digest, later.digest]


def test_a_wrong_password_is_one_clear_line(stack: Stack, ask: Ask, other: PlainRegistry) -> None:
    project = make_project(stack)
    push(client_of(stack), f"{project}/app", make_image(), "v1")
    wrong = {"type": "basic", "access_key": USERNAME, "access_secret": "not it"}
    body = {"name": unique("other"), "url": other.url, "credential": wrong}
    registry = int(ask("POST", "registries", body).headers["Location"].rpartition("/")[2])
    ask("POST", "registries/ping", {"id": registry}, 400)
    assert ask("GET", f"registries/{registry}").json()["status"] == "unhealthy"
    policy = {
        "name": unique("policy"),
        "dest_registry": {"id": registry},
        "filters": [{"type": "name", "value": f"{project}/**"}],
    }
    made = ask("POST", "replication/policies", policy).headers["Location"].rpartition("/")[2]
    shown = run(ask, int(made))
    assert shown["status"] == "Failed"
    assert "refuses our name and password" in shown["status_text"]


def test_another_moorage_gets_its_project(stack: Stack, ask: Ask) -> None:
    """To itself under another name: the same as to any other, and the layers are mounted."""
    project, ours, image = make_project(stack), client_of(stack), make_image()
    push(ours, f"{project}/app", image, "v1")
    credential = {"access_key": "admin", "access_secret": stack.admin_password}
    body = {
        "name": unique("self"),
        "url": stack.url,
        "type": "harbor",
        "credential": {"type": "basic", **credential},
    }
    registry = int(ask("POST", "registries", body).headers["Location"].rpartition("/")[2])
    there = unique("made")
    policy = {
        "name": unique("policy"),
        "dest_registry": {"id": registry},
        "dest_namespace": f"{there}/deep",
        "filters": [
            {"type": "name", "value": f"{project}/**"},
            {"type": "tag", "value": "v*", "decoration": "matches"},
        ],
    }
    made = ask("POST", "replication/policies", policy).headers["Location"].rpartition("/")[2]
    shown = run(ask, int(made))
    assert shown["status"] == "Succeed", (shown, log_of(ask, shown))
    assert ours.tagged_digest(f"{there}/deep/app", "v1", types=TYPES) == image.digest


def test_images_come_from_another_registry(
    stack: Stack, ask: Ask, other: PlainRegistry, tmp_path: Path
) -> None:
    there, name, image = client_there(other), unique("base"), make_image()
    push(there, f"{name}/tool", image, "v1", "skip")
    by_tag = f"{image.digest.replace(':', '-')}.sig"
    push(there, f"{name}/tool", make_image(unique("signature")), by_tag)
    signature = signature_of(image, unique("by subject"))
    push(there, f"{name}/tool", signature)
    entry = descriptor(signature.content, signature.media_type)
    there.add_referrers(f"{name}/tool", image.digest, [entry])
    inner = write_index(tmp_path / "index", files={"a": b"1"})
    copied = stack.skopeo(
        "copy",
        "--all",
        "--preserve-digests",
        f"--dest-creds={USERNAME}:{PASSWORD}",
        f"oci:{tmp_path / 'index'}:latest",
        f"docker://{other.address}/{name}/deep/app:1.0",
    )
    assert copied.returncode == 0, copied.stderr
    credential = {"type": "basic", "access_key": USERNAME, "access_secret": PASSWORD}
    body = {"name": unique("other"), "url": other.url, "credential": credential}
    registry = int(ask("POST", "registries", body).headers["Location"].rpartition("/")[2])
    project = unique("mirror")
    policy = {
        "name": unique("policy"),
        "src_registry": {"id": registry},
        "dest_namespace": project,
        "dest_namespace_replace_count": 1,
        "filters": [
            {"type": "name", "value": f"{name}/**"},
            {"type": "tag", "value": "skip", "decoration": "excludes"},
        ],
    }
    made = int(ask("POST", "replication/policies", policy).headers["Location"].rpartition("/")[2])
    shown = run(ask, made)
    assert (shown["status"], shown["succeed"]) == ("Succeed", 2), (shown, log_of(ask, shown))
    ours = client_of(stack)
    assert ours.tagged_digest(f"{project}/tool", "v1", types=TYPES) == image.digest
    assert ours.tagged_digest(f"{project}/tool", "skip", types=TYPES) == ""
    assert ours.tagged_digest(f"{project}/tool", by_tag, types=TYPES) != ""
    assert ours.referrers(f"{project}/tool", image.digest) == [signature.digest]
    assert ours.tagged_digest(f"{project}/deep/app", "1.0", types=TYPES) == inner
    pulled = stack.pull(f"{project}/deep/app:1.0", tmp_path / "pulled")
    assert pulled.returncode == 0, pulled.stderr
    assert blobs_of(tmp_path / "pulled") == blobs_of(tmp_path / "index")
    again = run(ask, made)
    assert (again["status"], again["total"]) == ("Succeed", 0)
    # What moved there moves here.
    newer = make_image()
    push(there, f"{name}/tool", newer, "v1")
    assert run(ask, made)["status"] == "Succeed"
    assert ours.tagged_digest(f"{project}/tool", "v1", types=TYPES) == newer.digest


def test_a_push_is_copied_by_itself_and_so_is_its_deletion(
    stack: Stack, ask: Ask, other: PlainRegistry
) -> None:
    project, ours, there = make_project(stack), client_of(stack), client_there(other)
    events = {"type": "event_based"}
    policy = make_policy(ask, other, project, trigger=events, replicate_deletion=True)
    image = make_image(unique("pushed"))
    push(ours, f"{project}/app", image, "v1", "v2")
    name = f"{project}/app"

    def points(tag: str) -> str:
        return there.tagged_digest(name, tag, types=TYPES)

    wait_for(lambda: points("v1") == points("v2") == image.digest, "the copy")
    ask("DELETE", f"projects/{project}/repositories/app/artifacts/{image.digest}")
    wait_for(lambda: not points("v1") and not points("v2"), "the deletion there")
    runs = ask("GET", f"replication/executions?policy_id={policy}&trigger=event_based").json()
    wait_for(
        lambda: all(
            shown["status"] == "Succeed"
            for shown in ask("GET", f"replication/executions?policy_id={policy}").json()
        ),
        "the ends of the runs",
    )
    operations = {
        task["operation"]
        for shown in runs
        for task in ask("GET", f"replication/executions/{shown['id']}/tasks").json()
    }
    assert operations == {"copy", "deletion"}


def test_a_copy_that_comes_back_goes_no_further(stack: Stack, ask: Ask) -> None:
    """A policy that takes up its own copies, one name deeper each time, ends after the first."""
    project, deep, ours = make_project(stack), make_project(stack), client_of(stack)
    credential = {"access_key": "admin", "access_secret": stack.admin_password}
    body = {
        "name": unique("self"),
        "url": stack.url,
        "type": "harbor",
        "credential": {"type": "basic", **credential},
    }
    registry = int(ask("POST", "registries", body).headers["Location"].rpartition("/")[2])
    policy = {
        "name": unique("policy"),
        "dest_registry": {"id": registry},
        "dest_namespace": deep,
        "dest_namespace_replace_count": 0,
        "trigger": {"type": "event_based"},
        "replicate_deletion": True,
        "filters": [{"type": "name", "value": f"{{{project},{deep}}}/**"}],
    }
    made = ask("POST", "replication/policies", policy).headers["Location"].rpartition("/")[2]
    image = make_image(unique("round"))
    push(ours, f"{project}/app", image, "v1")
    first = f"{deep}/{project}/app"
    wait_for(lambda: ours.tagged_digest(first, "v1", types=TYPES) == image.digest, "the copy")
    # Another push, and the copy's own event was heard before it.
    push(ours, f"{project}/app", image, "v2")
    wait_for(lambda: ours.tagged_digest(first, "v2", types=TYPES) == image.digest, "the next")
    assert ours.tagged_digest(f"{deep}/{first}", "v1", types=TYPES) == ""
    runs = ask("GET", f"replication/executions?policy_id={made}").json()
    assert len(runs) == 2
    # A deletion is a Moorage's own there: its trash keeps what went.
    ask("DELETE", f"projects/{project}/repositories/app/artifacts/{image.digest}")
    wait_for(lambda: ours.tagged_digest(first, "v1", types=TYPES) == "", "the deletion there")
    (entry,) = ask("GET", f"projects/{deep}/trash").json()
    assert entry["digest"] == image.digest
