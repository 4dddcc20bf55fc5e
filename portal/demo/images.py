"""Builds images from nothing: layers of real files, the same bytes every time.

The layers hold what an image explorer has to show: files, one overwritten, one deleted (whiteout,
OCI image-spec 1.1 "Layer Filesystem Changeset") and a directory made opaque.
"""

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a build; without files it changes the configuration only."""

    instruction: str
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Artifact:
    """A manifest with everything that has to be pushed before it."""

    content: bytes
    media_type: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    children: list["Artifact"] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the manifest."""
        return digest_of(self.content)

    def descriptor(self, **more: Any) -> dict[str, Any]:
        """How another manifest refers to this one."""
        size = len(self.content)
        return {"mediaType": self.media_type, "digest": self.digest, "size": size, **more}


def digest_of(content: bytes) -> str:
    """``sha256:<hex>``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def filler(name: str, size: int) -> bytes:
    """Bytes that do not compress, the same for the same name: a stand-in for a program."""
    return random.Random(name).randbytes(size)  # noqa: S311 - reproducible on purpose


def image(
    steps: Sequence[Step], *, architecture: str, created: str, config: Mapping[str, Any]
) -> Artifact:
    """Build one platform's image from its instructions."""
    blobs: dict[str, bytes] = {}
    layers, diff_ids, history = [], [], []
    for step in steps:
        entry: dict[str, Any] = {"created": created, "created_by": step.instruction}
        if step.files:
            plain = _tar(step.files)
            packed = gzip.compress(plain, mtime=0)
            diff_ids.append(digest_of(plain))
            layers.append(_store(blobs, packed, LAYER))
        else:
            entry["empty_layer"] = True
        history.append(entry)
    document = {
        "architecture": architecture,
        "os": "linux",
        "created": created,
        "author": "Moorage demo",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    }
    return _manifest(blobs, _store(blobs, _json(document), CONFIG), layers)


def index(images: Mapping[str, Artifact], annotations: Mapping[str, str]) -> Artifact:
    """Join images, by architecture, into one multi-platform image."""
    entries = [
        image.descriptor(platform={"os": "linux", "architecture": architecture})
        for architecture, image in images.items()
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": entries,
        "annotations": dict(annotations),
    }
    return Artifact(_json(document), INDEX, children=list(images.values()))


def artifact(
    *,
    artifact_type: str,
    layers: Sequence[tuple[str, bytes]],
    config: tuple[str, bytes] = (EMPTY, b"{}"),
    subject: Artifact | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Artifact:
    """Build anything else: a chart, a signature, a bill of materials."""
    blobs: dict[str, bytes] = {}
    more: dict[str, Any] = {"artifactType": artifact_type} if artifact_type else {}
    if subject is not None:
        more["subject"] = subject.descriptor()
    if annotations:
        more["annotations"] = dict(annotations)
    stored = [_store(blobs, content, media_type) for media_type, content in layers]
    return _manifest(blobs, _store(blobs, config[1], config[0]), stored, **more)


def _manifest(
    blobs: dict[str, bytes], config: dict[str, Any], layers: list[dict[str, Any]], **more: Any
) -> Artifact:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": layers,
        **more,
    }
    return Artifact(_json(document), MANIFEST, blobs)


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            if name.endswith("/"):
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            else:
                entry.size = len(content)
                entry.mode = 0o755 if "/bin/" in f"/{name}" else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _store(blobs: dict[str, bytes], content: bytes, media_type: str) -> dict[str, Any]:
    digest = digest_of(content)
    blobs[digest] = content
    return {"mediaType": media_type, "digest": digest, "size": len(content)}
