"""Tiny OCI image layouts, the same bytes every time, for skopeo to push."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def write_image(
    directory: Path, *, files: dict[str, bytes], tag: str = "latest", architecture: str = "amd64"
) -> str:
    """Write a layout with one image of one layer per file; return the manifest's digest."""
    manifest = _image(directory, files, architecture)
    _finish(directory, manifest, tag)
    return str(manifest["digest"])


def write_index(
    directory: Path,
    *,
    files: dict[str, bytes],
    tag: str = "latest",
    architectures: tuple[str, ...] = ("amd64", "arm64"),
) -> str:
    """Write a layout with one image for each architecture; return the index's digest."""
    children = []
    for architecture in architectures:
        own = files | {"architecture": architecture.encode()}
        child = _image(directory, own, architecture)
        child["platform"] = {"os": "linux", "architecture": architecture}
        children.append(child)
    index = _store_json(
        directory, {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}, INDEX
    )
    _finish(directory, index, tag)
    return str(index["digest"])


def layer(files: dict[str, bytes]) -> tuple[bytes, bytes]:
    """Return a layer's tar and its compressed form."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(files.items()):
            # TarInfo's defaults: no time, no owner.
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    plain = buffer.getvalue()
    return plain, gzip.compress(plain, mtime=0)


def _image(directory: Path, files: dict[str, bytes], architecture: str) -> dict[str, Any]:
    layers, diff_ids = [], []
    for name, content in sorted(files.items()):
        plain, compressed = layer({name: content})
        diff_ids.append(_digest(plain))
        layers.append(_store(directory, compressed, LAYER))
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [
            {"created": "2024-01-01T00:00:00Z", "created_by": f"COPY {name} /"}
            for name in sorted(files)
        ],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _store_json(directory, config, CONFIG),
        "layers": layers,
    }
    return _store_json(directory, manifest, MANIFEST)


def _finish(directory: Path, descriptor: dict[str, Any], tag: str) -> None:
    named = descriptor | {"annotations": {"org.opencontainers.image.ref.name": tag}}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def _store_json(directory: Path, content: object, media_type: str) -> dict[str, Any]:
    return _store(directory, json.dumps(content, separators=(",", ":")).encode(), media_type)


def _store(directory: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = _digest(content)
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest.removeprefix("sha256:")).write_bytes(content)
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
