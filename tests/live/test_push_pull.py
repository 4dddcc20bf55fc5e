"""Pushing, pulling, listing and deleting as clients do it, through the one public port."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.client import (
    PASSWORD,
    Answer,
    Client,
    blobs_of,
    client,
    digest_of,
    make_image,
    make_project,
    make_user,
    pusher,
    run_in,
    unique,
)
from tests.live.images import INDEX, MANIFEST
from tests.live.stack import Stack

pytestmark = pytest.mark.live

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def name(stack: Stack) -> str:
    """A repository of its own for each test."""
    return f"{make_project(stack)}/app"


class TestSkopeo:
    def test_an_index_comes_back_byte_for_byte(
        self, stack: Stack, name: str, index: Path, tmp_path: Path
    ) -> None:
        pushed = stack.push(index, f"{name}:1.0")
        assert pushed.returncode == 0, pushed.stderr
        pulled = stack.pull(f"{name}:1.0", tmp_path)
        assert pulled.returncode == 0, pulled.stderr
        assert blobs_of(tmp_path) == blobs_of(index)

    def test_a_second_push_sends_no_blob(self, stack: Stack, name: str, image: Path) -> None:
        assert stack.push(image, f"{name}:1").returncode == 0
        # Every upload and every mount writes the blob's link anew.
        storage = stack.home / "registry" / "docker" / "registry" / "v2" / "repositories"
        links = {
            path: path.stat().st_mtime_ns for path in (storage / name).glob("_layers/sha256/*/link")
        }
        assert len(links) == len(blobs_of(image)) - 1
        assert stack.push(image, f"{name}:2").returncode == 0
        assert {path: path.stat().st_mtime_ns for path in links} == links

    def test_dockers_own_format(self, stack: Stack, name: str, image: Path, tmp_path: Path) -> None:
        source, there = f"oci:{image}:latest", f"docker://{stack.address}/{name}:1"
        pushed = stack.skopeo("copy", "--format", "v2s2", source, there)
        assert pushed.returncode == 0, pushed.stderr
        raw = stack.skopeo("inspect", "--raw", there).stdout
        assert json.loads(raw)["mediaType"] == DOCKER_MANIFEST
        pulled = stack.skopeo("copy", "--preserve-digests", there, f"dir:{tmp_path}")
        assert pulled.returncode == 0, pulled.stderr
        assert (tmp_path / "manifest.json").read_text() == raw

    def test_a_copy_to_another_repository(
        self, stack: Stack, name: str, image: Path, tmp_path: Path
    ) -> None:
        assert stack.push(image, f"{name}:1").returncode == 0
        other = f"{make_project(stack)}/copy"
        source, there = (f"docker://{stack.address}/{at}:1" for at in (name, other))
        copied = stack.skopeo("copy", source, there)
        assert copied.returncode == 0, copied.stderr
        assert stack.pull(f"{other}:1", tmp_path).returncode == 0
        assert blobs_of(tmp_path) == blobs_of(image)

    def test_a_private_image_is_its_members(
        self, stack: Stack, name: str, image: Path, tmp_path: Path
    ) -> None:
        assert stack.push(image, f"{name}:1").returncode == 0
        assert stack.pull(f"{name}:1", tmp_path / "nobody", username="").returncode != 0
        stranger = make_user(stack)
        pulled = stack.pull(f"{name}:1", tmp_path / "him", username=stranger, password=PASSWORD)
        assert pulled.returncode != 0

    def test_tags_are_listed(self, stack: Stack, name: str, image: Path) -> None:
        for tag in ("b", "a"):
            assert stack.push(image, f"{name}:{tag}").returncode == 0
        listed = stack.skopeo("list-tags", f"docker://{stack.address}/{name}")
        assert json.loads(listed.stdout)["Tags"] == ["a", "b"]

    def test_deleting_takes_the_image_with_its_tags(
        self, stack: Stack, name: str, image: Path, tmp_path: Path
    ) -> None:
        assert stack.push(image, f"{name}:1").returncode == 0
        deleted = stack.skopeo("delete", f"docker://{stack.address}/{name}:1")
        assert deleted.returncode == 0, deleted.stderr
        assert stack.pull(f"{name}:1", tmp_path).returncode != 0

    def test_a_public_image_needs_no_account(
        self, stack: Stack, image: Path, tmp_path: Path
    ) -> None:
        name = f"{make_project(stack, is_public=True)}/app:1"
        assert stack.push(image, name).returncode == 0
        assert stack.pull(name, tmp_path, username="").returncode == 0
        refused = stack.push(image, name, username="")
        assert refused.returncode != 0

    def test_a_wrong_password_is_told(self, stack: Stack, name: str, image: Path) -> None:
        user = make_user(stack)
        refused = stack.push(image, f"{name}:1", username=user, password="not the password")
        assert refused.returncode != 0
        assert "incorrect username or password" in refused.stderr


class TestDocker:
    """Docker's command line alone: without an engine it signs in by itself."""

    def login(
        self, stack: Stack, tmp_path: Path, password: str
    ) -> subprocess.CompletedProcess[str]:
        command = ["docker", "-H", f"unix://{tmp_path}/none", "--config", str(tmp_path), "login"]
        return subprocess.run(
            [*command, stack.address, "-u", "admin", "--password-stdin"],
            input=password,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_the_right_password(self, stack: Stack, tmp_path: Path) -> None:
        done = self.login(stack, tmp_path, stack.admin_password)
        assert done.returncode == 0, done.stderr
        assert "Login Succeeded" in done.stdout

    def test_the_wrong_one(self, stack: Stack, tmp_path: Path) -> None:
        done = self.login(stack, tmp_path, "not the password")
        assert done.returncode != 0
        assert "incorrect username or password" in done.stderr


class TestContainerd:
    """No request for /v2/ first: the 401 of the real one says what to ask for, by POST."""

    def test_a_push_and_a_pull(self, stack: Stack, name: str) -> None:
        image, nobody = make_image(name.encode()), Client(stack.port)
        manifest, layer = f"/v2/{name}/manifests/1", f"/v2/{name}/blobs/{digest_of(image.layer)}"
        puller = self.answered(stack, nobody.ask("HEAD", manifest))
        assert puller.ask("HEAD", manifest).status == 404
        pushing = self.answered(stack, puller.start_upload(name))
        for blob in (image.config, image.layer):
            pushing.push_blob(name, blob)
        assert pushing.push_manifest(name, "1", image.manifest).status == 201
        assert puller.ask("GET", manifest).body == image.manifest
        assert self.answered(stack, nobody.ask("GET", layer)).ask("GET", layer).body == image.layer

    @staticmethod
    def answered(stack: Stack, challenged: Answer) -> Client:
        """Ask for what a challenge names, and for pull once more, as containerd does."""
        assert challenged.status == 401
        challenge = challenged.headers["WWW-Authenticate"].removeprefix("Bearer ")
        said = dict(re.findall(r'([a-z]+)="([^"]*)"', challenge))
        assert said["realm"] == f"{stack.url}/service/token"
        form = {
            "grant_type": "password",
            "service": said["service"],
            "client_id": "containerd-client",
            "scope": f"{said['scope'].rpartition(':')[0]}:pull {said['scope']}",
            "username": "admin",
            "password": stack.admin_password,
        }
        answer = stack.request("POST", "/service/token", data=form)
        assert answer.status_code == 200, answer.text
        return Client(stack.port, answer.json()["access_token"])


class TestProtocol:
    def test_dockers_own_format(self, stack: Stack, name: str) -> None:
        here = pusher(stack, name)
        image = make_image(b"docker")
        for blob in (image.config, image.layer):
            here.push_blob(name, blob)
        manifest = json.loads(image.manifest)
        manifest["mediaType"] = DOCKER_MANIFEST
        manifest["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
        content = json.dumps(manifest).encode()
        assert here.push_manifest(name, "1", content, DOCKER_MANIFEST).status == 201
        pulled = here.ask("GET", f"/v2/{name}/manifests/1")
        assert (pulled.body, pulled.headers["Content-Type"]) == (content, DOCKER_MANIFEST)

    def test_a_blob_is_mounted_where_both_rights_are(self, stack: Stack, name: str) -> None:
        other = f"{make_project(stack)}/other"
        image = pusher(stack, name).push_image(name)
        scope = f"repository:{other}:pull,push repository:{name}:pull"
        here = client(stack, scope)
        layer = digest_of(image.layer)
        mounted = here.start_upload(other, f"?mount={layer}&from={name.replace('/', '%2F')}")
        assert mounted.status == 201
        assert here.ask("GET", f"/v2/{other}/blobs/{layer}").body == image.layer

    def test_a_mount_without_the_right_to_pull_is_an_upload(self, stack: Stack, name: str) -> None:
        image = pusher(stack, name).push_image(name)
        other = f"{make_project(stack)}/other"
        here = pusher(stack, other)
        started = here.start_upload(other, f"?mount={digest_of(image.layer)}&from={name}")
        assert started.status == 202
        assert here.ask("GET", f"/v2/{other}/blobs/{digest_of(image.layer)}").status == 404

    def test_referrers(self, stack: Stack, name: str) -> None:
        here = pusher(stack, name)
        image = here.push_image(name)
        subject = {"mediaType": MANIFEST, "digest": image.digest, "size": len(image.manifest)}
        for kind in ("application/example.signature", "application/example.sbom"):
            document = json.loads(image.manifest) | {"subject": subject, "artifactType": kind}
            pushed = here.push_manifest(
                name, digest_of(json.dumps(document).encode()), json.dumps(document).encode()
            )
            assert pushed.status == 201, pushed.body
            assert pushed.headers["OCI-Subject"] == image.digest
        found = here.ask("GET", f"/v2/{name}/referrers/{image.digest}")
        assert found.headers["Content-Type"] == INDEX
        assert len(found.json["manifests"]) == 2
        one = here.ask(
            "GET", f"/v2/{name}/referrers/{image.digest}?artifactType=application/example.sbom"
        )
        assert one.headers["OCI-Filters-Applied"] == "artifactType"
        assert [m["artifactType"] for m in one.json["manifests"]] == ["application/example.sbom"]
        nobodys = here.ask("GET", f"/v2/{name}/referrers/sha256:{'0' * 64}")
        assert (nobodys.status, nobodys.json["manifests"]) == (200, [])

    def test_a_tag_is_deleted_alone(self, stack: Stack, name: str) -> None:
        here = pusher(stack, name)
        image = here.push_image(name, "1", b"same")
        here.push_image(name, "2", b"same")
        assert here.ask("DELETE", f"/v2/{name}/manifests/1").status == 202
        assert here.ask("GET", f"/v2/{name}/manifests/1").code == "MANIFEST_UNKNOWN"
        assert here.ask("GET", f"/v2/{name}/manifests/2").body == image.manifest

    def test_what_an_index_needs_is_not_deleted(self, stack: Stack, name: str, index: Path) -> None:
        assert stack.push(index, f"{name}:1").returncode == 0
        here = pusher(stack, name)
        child = here.ask("GET", f"/v2/{name}/manifests/1").json["manifests"][0]["digest"]
        assert here.ask("DELETE", f"/v2/{name}/manifests/{child}").status == 409

    def test_deleted_bytes_are_out_of_reach_and_back_with_a_push(
        self, stack: Stack, name: str
    ) -> None:
        here = pusher(stack, name)
        image = here.push_image(name)
        assert here.ask("DELETE", f"/v2/{name}/manifests/{image.digest}").status == 202
        assert here.ask("GET", f"/v2/{name}/manifests/{image.digest}").status == 404
        assert here.push_manifest(name, "again", image.manifest).status == 201
        assert here.ask("GET", f"/v2/{name}/manifests/again").body == image.manifest

    def test_conditional_and_partial_requests(self, stack: Stack, name: str) -> None:
        here = pusher(stack, name)
        image = here.push_image(name)
        layer = f"/v2/{name}/blobs/{digest_of(image.layer)}"
        part = here.ask("GET", layer, headers=[("Range", "bytes=0-4")])
        assert (part.status, part.body) == (206, image.layer[:5])
        tag = here.ask("GET", layer).headers["ETag"]
        assert here.ask("GET", layer, headers=[("If-None-Match", tag)]).status == 304
        manifest = f"/v2/{name}/manifests/latest"
        etag = here.ask("HEAD", manifest).headers["ETag"]
        assert here.ask("GET", manifest, headers=[("If-None-Match", etag)]).status == 304

    def test_the_catalogue_holds_what_the_caller_may_pull(self, stack: Stack, name: str) -> None:
        public = f"{make_project(stack, is_public=True)}/{unique('app')}"
        for repository in (name, public):
            pusher(stack, repository).push_image(repository)
        administrators = client(stack, "registry:catalog:*")
        found, target = [], "/v2/_catalog?n=3"
        while target:
            page = administrators.ask("GET", target)
            found += page.json["repositories"]
            link = page.headers["Link"] or ""
            target = link.partition("<")[2].partition(">")[0]
        assert {name, public} <= set(found)
        assert len(found) == len(set(found))
        nobody = client(stack, "registry:catalog:*", username="")
        visible = nobody.ask("GET", "/v2/_catalog").json["repositories"]
        assert public in visible
        assert name not in visible

    def test_a_refused_body_is_no_failure(self, stack: Stack, name: str) -> None:
        nobody = client(stack, "", username="")
        refused = nobody.push_manifest(name, "1", b"x" * 3_000_000)
        assert refused.status == 401
        assert refused.code == "UNAUTHORIZED"

    def test_ranges_are_offered_once(self, stack: Stack, name: str) -> None:
        here = pusher(stack, name)
        image = here.push_image(name)
        sent = here.ask("GET", f"/v2/{name}/blobs/{digest_of(image.layer)}")
        assert sent.headers.get_all("Accept-Ranges") == ["bytes"]


def slowly(content: bytes, seconds: float) -> Iterator[bytes]:
    """Send a body over so long."""
    step = max(1, len(content) // 20)
    for start in range(0, len(content), step):
        time.sleep(seconds / 20)
        yield content[start : start + step]


ISSUE = """
from accounts import access, credentials, docker_tokens, scopes
from accounts.models import User
admin = credentials.principal_of_user(User.objects.get(username="admin"))
grants = access.granted(admin, scopes.parse(["repository:{name}:pull,push"]))
print(docker_tokens.issue(admin, grants, lifetime={lifetime}))
"""


def test_an_upload_may_outlast_its_token(stack: Stack, name: str) -> None:
    """The registry looks at a token when a request begins; the next request needs a new one."""
    # It ended in the past, and counts for the minute of leeway: five more seconds.
    old = Client(stack.port, run_in(stack, ISSUE.format(name=name, lifetime=-55)))
    content = b"a slow layer " * 10_000
    started = old.start_upload(name)
    assert started.status == 202
    sent = old.ask("PATCH", started.upload, slowly(content, 8))
    assert sent.status == 202
    target = f"{sent.upload}&digest={digest_of(content)}"
    late = old.ask("PUT", target, b"")
    assert late.status == 401
    assert f'scope="repository:{name}:pull,push"' in late.headers["WWW-Authenticate"]
    assert pusher(stack, name).ask("PUT", target, b"").status == 201
