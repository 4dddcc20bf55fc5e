"""Repositories called like parts of the protocol's own paths."""

import json

import pytest

from tests.live.client import Client, digest_of, make_image, make_project, pusher
from tests.live.images import CONFIG, MANIFEST
from tests.live.stack import Stack

pytestmark = pytest.mark.live

PATHS = (
    "a/b/c/d",
    "manifests",
    "blobs",
    "uploads",
    "blobs/uploads",
    "a/manifests/b",
    "x/manifests/latest",
    "x/blobs/uploads/y",
    "x/blobs/uploads",
    "tags/list",
    "x/tags/list",
    "manifests/manifests/blobs/blobs",
    "v2/x",
    "referrers/x",
    "x/referrers",
    "service/token",
)


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> str:
    """The repository's name below its project."""
    return str(request.param)


@pytest.fixture
def name(stack: Stack, path: str) -> str:
    """The repository, in a project of its own."""
    return f"{make_project(stack)}/{path}"


@pytest.fixture
def pushing(stack: Stack, name: str) -> Client:
    """May do everything there."""
    return pusher(stack, name)


def test_everything_reaches_the_right_place(
    stack: Stack, pushing: Client, name: str, path: str
) -> None:
    image = make_image(name.encode())
    _push_in_chunks(pushing, name, image.layer)
    pushing.push_blob(name, image.config)
    assert _links(stack, name) == {digest_of(image.layer), digest_of(image.config)}
    pushed = pushing.push_manifest(name, "latest", image.manifest)
    assert pushed.status == 201, pushed.body
    assert pushed.headers["Location"] == f"/v2/{name}/manifests/{image.digest}"
    _reads_back(pushing, name, image.manifest)
    _reads_blob(pushing, name, image.layer)
    assert pushing.ask("GET", f"/v2/{name}/tags/list").json == {"name": name, "tags": ["latest"]}
    _refers(pushing, name, image.manifest, image.config)
    deleted = pushing.ask("DELETE", f"/v2/{name}/manifests/latest")
    assert deleted.status == 202
    assert pushing.ask("GET", f"/v2/{name}/tags/list").json["tags"] == []
    # Nobody else's repository was touched.
    project = name.partition("/")[0]
    assert _repositories(stack, project) == {path}


def _push_in_chunks(pushing: Client, name: str, content: bytes) -> None:
    middle = len(content) // 2
    started = pushing.start_upload(name)
    assert started.status == 202
    first = pushing.ask(
        "PATCH", started.upload, iter([content[:middle]]), [("Content-Range", f"0-{middle - 1}")]
    )
    assert (first.status, first.headers["Range"]) == (202, f"0-{middle - 1}")
    asked = pushing.ask("GET", first.upload)
    assert (asked.status, asked.headers["Range"]) == (204, f"0-{middle - 1}")
    second = pushing.ask("PATCH", first.upload, iter([content[middle:]]))
    assert second.status == 202
    ended = pushing.ask("PUT", f"{second.upload}&digest={digest_of(content)}", b"")
    assert ended.status == 201, ended.body
    cancelled = pushing.start_upload(name).upload
    assert pushing.ask("DELETE", cancelled).status == 204
    assert pushing.ask("GET", cancelled).status == 404


def _reads_back(pushing: Client, name: str, manifest: bytes) -> None:
    for reference in ("latest", digest_of(manifest)):
        for method in ("GET", "HEAD"):
            got = pushing.ask(method, f"/v2/{name}/manifests/{reference}")
            assert got.status == 200
            assert got.body == (manifest if method == "GET" else b"")
            assert got.headers["Docker-Content-Digest"] == digest_of(manifest)
            assert got.headers["Content-Type"] == MANIFEST


def _reads_blob(pushing: Client, name: str, content: bytes) -> None:
    target = f"/v2/{name}/blobs/{digest_of(content)}"
    got = pushing.ask("GET", target)
    assert (got.status, got.body) == (200, content)
    head = pushing.ask("HEAD", target)
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(content)))
    part = pushing.ask("GET", target, None, [("Range", "bytes=2-5")])
    assert (part.status, part.body) == (206, content[2:6])
    assert part.headers["Content-Range"] == f"bytes 2-5/{len(content)}"


def _refers(pushing: Client, name: str, subject: bytes, config: bytes) -> None:
    signature = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/vnd.example.signature",
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [],
        "subject": {"mediaType": MANIFEST, "digest": digest_of(subject), "size": len(subject)},
    }
    content = json.dumps(signature).encode()
    pushed = pushing.push_manifest(name, digest_of(content), content)
    assert pushed.status == 201, pushed.body
    assert pushed.headers["OCI-Subject"] == digest_of(subject)
    referrers = pushing.ask("GET", f"/v2/{name}/referrers/{digest_of(subject)}")
    assert [entry["digest"] for entry in referrers.json["manifests"]] == [digest_of(content)]


def _links(stack: Stack, name: str) -> set[str]:
    """Return the blobs that the registry holds in a repository."""
    root = stack.home / "registry" / "docker" / "registry" / "v2" / "repositories" / name
    return {f"sha256:{path.name}" for path in (root / "_layers" / "sha256").iterdir()}


def _repositories(stack: Stack, project: str) -> set[str]:
    """Return the repositories that the registry holds of a project."""
    root = stack.home / "registry" / "docker" / "registry" / "v2" / "repositories" / project
    return {str(path.parent.relative_to(root)) for path in root.rglob("_layers")}
