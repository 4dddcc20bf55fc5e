"""Parses and validates manifests (OCI image-spec 1.1, Docker image manifest v2 schema 2).

Stricter than the registry where it is lax: duplicate keys, negative sizes and other digests than
sha256 are refused, so that what was checked is what every client will read.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from registry_sync.texts import storable

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_MAX_ENTRIES = 1000
_MAX_DEPTH = 64

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE_TYPES = frozenset({DOCKER_MANIFEST, OCI_MANIFEST})
INDEX_TYPES = frozenset({DOCKER_LIST, OCI_INDEX})
IMAGE_CONFIG_TYPES = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
# OCI image-spec 1.1, "Guidance for an Empty Descriptor".
EMPTY_CONFIG_TYPE = "application/vnd.oci.empty.v1+json"
# Layers that may be absent from a registry: clients fetch them from their ``urls``.
NON_DISTRIBUTABLE_TYPES = frozenset(
    {
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)
# RFC 6838 allows less; what matters is that every database and header can hold it.
_MEDIA_TYPE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class ManifestError(ValueError):
    """A manifest that breaks a rule; ``code`` is the specification's."""

    def __init__(self, message: str, code: str = "MANIFEST_INVALID") -> None:
        """``message`` is for the person who pushed."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Platform:
    """An index entry's platform, each part empty where it says nothing."""

    os: str = ""
    architecture: str = ""
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content; ``size`` is what the manifest says, in bytes."""

    digest: str
    size: int
    media_type: str
    platform: Platform
    annotations: dict[str, str]
    may_be_absent: bool = False

    @property
    def is_manifest(self) -> bool:
        """True for a manifest and an index, as far as the media type tells."""
        return self.media_type in IMAGE_TYPES | INDEX_TYPES


@dataclass(frozen=True, slots=True)
class Manifest:
    """A valid manifest; an index has ``children``, everything else ``config`` and ``layers``."""

    digest: str
    media_type: str
    content: bytes
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject_digest: str
    artifact_type: str
    annotations: dict[str, str]

    @property
    def is_index(self) -> bool:
        """True for a list of manifests."""
        return self.media_type in INDEX_TYPES

    @property
    def is_image(self) -> bool:
        """True where the config is a container image's."""
        return self.config is not None and self.config.media_type in IMAGE_CONFIG_TYPES

    @property
    def is_described(self) -> bool:
        """True where the config says something: an image's, a chart's, a model's."""
        if self.config is None or self.config.media_type == EMPTY_CONFIG_TYPE:
            return False
        return self.is_image or self.config.media_type.endswith("+json")


def is_digest(text: str) -> bool:
    """True for ``sha256:`` and 64 hexadecimal digits, the one form Moorage accepts."""
    return bool(_DIGEST.fullmatch(text))


def parse(content: bytes, content_type: str) -> Manifest:
    """Read a manifest pushed with that Content-Type. Raises ``ManifestError``."""
    if len(content) > MAX_MANIFEST_BYTES:
        raise ManifestError("the manifest is larger than 4 MiB", "SIZE_INVALID")
    media_type = content_type.partition(";")[0].strip()
    if media_type not in IMAGE_TYPES | INDEX_TYPES:
        raise ManifestError(f"the media type {media_type[:100]!r} is not supported")
    document = _load(content)
    _check_head(document, media_type)
    config = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    if media_type in INDEX_TYPES:
        children = _descriptors(document, "manifests")
    else:
        config = _descriptor(document.get("config"), "config")
        layers = _descriptors(document, "layers")
    subject = document.get("subject")
    artifact_type = document.get("artifactType")
    return Manifest(
        digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
        media_type=media_type,
        content=content,
        config=config,
        layers=layers,
        children=children,
        subject_digest=_descriptor(subject, "subject").digest if subject is not None else "",
        artifact_type=storable(artifact_type)[:255] if isinstance(artifact_type, str) else "",
        annotations=_annotations(document.get("annotations")),
    )


def _load(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(
            content.decode(), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        if isinstance(error, ManifestError):
            raise
        raise ManifestError("the manifest is not valid JSON") from error
    if not isinstance(document, dict):
        raise ManifestError("the manifest is not a JSON object")
    _check_depth(document)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ManifestError("the manifest has a key twice")
    return document


def _no_constant(name: str) -> None:
    raise ManifestError(f"{name} is not valid JSON")


def _check_depth(document: Any) -> None:
    level = [document]
    for _depth in range(_MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise ManifestError("the manifest is nested too deeply")


def _check_head(document: dict[str, Any], media_type: str) -> None:
    version = document.get("schemaVersion")
    if version != 2 or isinstance(version, bool):
        raise ManifestError("schemaVersion must be 2")
    own_type = document.get("mediaType")
    # OCI manifests may leave mediaType out; docker's must have it.
    is_optional = media_type in {OCI_MANIFEST, OCI_INDEX}
    if own_type != media_type and not (own_type is None and is_optional):
        raise ManifestError("mediaType in the manifest differs from the Content-Type")
    is_index = media_type in INDEX_TYPES
    if ("manifests" in document) != is_index or (is_index and {"layers", "config"} & set(document)):
        raise ManifestError("a manifest has a config and layers, an index has manifests")


def _descriptors(document: dict[str, Any], name: str) -> tuple[Descriptor, ...]:
    entries = document.get(name)
    if entries is None:
        entries = []
    if not isinstance(entries, list):
        raise ManifestError(f"{name} is not a list")
    if len(entries) > _MAX_ENTRIES:
        raise ManifestError(f"{name} has more than {_MAX_ENTRIES} entries")
    return tuple(_descriptor(entry, name) for entry in entries)


def _descriptor(entry: Any, where: str) -> Descriptor:
    if not isinstance(entry, dict):
        raise ManifestError(f"{where} lacks a descriptor")
    digest, size, media_type = entry.get("digest"), entry.get("size"), entry.get("mediaType")
    if not isinstance(digest, str) or not is_digest(digest):
        raise ManifestError(
            f"{where} has a digest that is not sha256 with 64 hexadecimal digits", "DIGEST_INVALID"
        )
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ManifestError(f"{where} has a size that is not a number of bytes")
    if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
        raise ManifestError(f"{where} has no media type")
    urls = entry.get("urls")
    if urls is not None and not (
        isinstance(urls, list) and all(isinstance(url, str) for url in urls)
    ):
        raise ManifestError(f"{where} has urls that are not a list of strings")
    return Descriptor(
        digest=digest,
        size=size,
        media_type=media_type,
        platform=_platform(entry.get("platform")),
        annotations=_annotations(entry.get("annotations")),
        may_be_absent=media_type in NON_DISTRIBUTABLE_TYPES and bool(urls),
    )


def _platform(entry: Any) -> Platform:
    if not isinstance(entry, dict):
        return Platform()

    def text(key: str) -> str:
        value = entry.get(key)
        return storable(value)[:64] if isinstance(value, str) else ""

    return Platform(text("os"), text("architecture"), text("variant"))


def _annotations(entries: Any) -> dict[str, str]:
    if entries is None:
        return {}
    if not isinstance(entries, dict) or not all(isinstance(v, str) for v in entries.values()):
        raise ManifestError("annotations are not texts by name")
    return {storable(name): storable(value) for name, value in entries.items()}
