"""The images that benchmarks push and pull."""

import json
from dataclasses import dataclass
from urllib.parse import urljoin

import requests

from portal.demo.images import CONFIG, LAYER, MANIFEST, digest_of, filler


@dataclass(frozen=True, slots=True)
class Pushed:
    """What is where after a push."""

    manifest: bytes
    digest: str
    layer: str


def push(
    url: str, repository: str, *, token: str = "", size: int = 400 * 1024, layers: int = 1
) -> Pushed:
    """Push one image of ``layers`` layers of ``size`` bytes under the tag ``latest``."""
    contents = [filler(f"{repository} {n} {size}", size) for n in range(layers)]
    manifest = push_contents(url, repository, "latest", contents, token=token)
    return Pushed(manifest, digest_of(manifest), digest_of(contents[0]))


def push_contents(
    url: str, repository: str, tag: str, contents: list[bytes], *, token: str = ""
) -> bytes:
    """Push one image of these layers; return its manifest."""
    session = session_of(token)
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": []}})
    for content in (config.encode(), *contents):
        push_blob(session, url, repository, content)
    manifest = manifest_of(config.encode(), contents)
    put_manifest(session, url, repository, tag, manifest)
    return manifest


def copy_mounted(url: str, source: str, repository: str, tag: str, *, token: str = "") -> None:
    """Give another repository the same image, its blobs mounted."""
    session = session_of(token)
    found = session.get(
        f"{url}/v2/{source}/manifests/{tag}", headers={"Accept": MANIFEST}, timeout=60
    )
    found.raise_for_status()
    document = found.json()
    for blob in (document["config"], *document["layers"]):
        session.post(
            f"{url}/v2/{repository}/blobs/uploads/",
            params={"mount": blob["digest"], "from": source},
            timeout=60,
        ).raise_for_status()
    put_manifest(session, url, repository, tag, found.content)


def session_of(token: str = "") -> requests.Session:
    """A session that uses no proxy, with a token where one is given."""
    session = requests.Session()
    session.trust_env = False
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
    return session


def manifest_of(config: bytes, layers: list[bytes], note: str = "") -> bytes:
    """A manifest's bytes; ``note`` makes another digest of the same blobs."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(config, CONFIG),
        "layers": [_descriptor(content, LAYER) for content in layers],
        "annotations": {"note": note},
    }
    return json.dumps(document).encode()


def push_blob(session: requests.Session, url: str, repository: str, content: bytes) -> None:
    """POST and PUT one blob."""
    started = session.post(f"{url}/v2/{repository}/blobs/uploads/", timeout=60)
    started.raise_for_status()
    location = urljoin(url, started.headers["Location"])
    separator = "&" if "?" in location else "?"
    session.put(
        f"{location}{separator}digest={digest_of(content)}",
        data=content,
        headers={"Content-Type": "application/octet-stream"},
        timeout=600,
    ).raise_for_status()


def put_manifest(
    session: requests.Session, url: str, repository: str, reference: str, manifest: bytes
) -> None:
    """PUT one manifest."""
    session.put(
        f"{url}/v2/{repository}/manifests/{reference}",
        data=manifest,
        headers={"Content-Type": MANIFEST},
        timeout=60,
    ).raise_for_status()


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
