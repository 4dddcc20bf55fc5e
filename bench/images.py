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
    session = requests.Session()
    session.trust_env = False
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": []}})
    contents = [filler(f"{repository} {n} {size}", size) for n in range(layers)]
    for content in (config.encode(), *contents):
        push_blob(session, url, repository, content)
    manifest = manifest_of(config.encode(), contents)
    put_manifest(session, url, repository, "latest", manifest)
    return Pushed(manifest, digest_of(manifest), digest_of(contents[0]))


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
