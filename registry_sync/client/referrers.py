"""The referrers tag schema (OCI distribution-spec 1.1, "Referrers Tag Schema").

Where a registry has no referrers API, an image index under the tag ``sha256-<hex>`` lists what is
about a manifest. The registry knows nothing of it: its clients write it.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from registry_sync.client.errors import RegistryError

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
# Whatever may be under the tag: a registry does not find what is not accepted, and to be told that
# nothing is there would have us write over it.
ACCEPTED = (
    INDEX_TYPE,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MAX_BYTES = 4 * 1024 * 1024

# What an index's entry says: mediaType, digest, size, artifactType, annotations.
Entry = Mapping[str, Any]


class NoListError(RegistryError):
    """Under the tag is something that is no list of referrers; nobody is to write over it."""


def tag_of(digest: str) -> str:
    """Return the tag that is about a manifest."""
    return digest.replace(":", "-")


def read(media_type: str, content: bytes) -> dict[str, Any]:
    """Return a list, as it is. Raises ``NoListError``."""
    try:
        document: Any = json.loads(content)
        [str(entry["digest"]) for entry in document["manifests"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NoListError from error
    if media_type != INDEX_TYPE:
        raise NoListError
    return dict(document)


def digests_of(listed: Mapping[str, Any]) -> list[str]:
    """Return the digests that a list names."""
    return [str(entry["digest"]) for entry in listed["manifests"]]


def missing(listed: Mapping[str, Any] | None, entries: Sequence[Entry]) -> list[Entry]:
    """Return those entries that a list does not hold yet."""
    there = set(digests_of(listed)) if listed else set()
    return [entry for entry in entries if entry["digest"] not in there]


def extended(
    listed: Mapping[str, Any] | None, entries: Sequence[Entry], gone: Collection[str] = ()
) -> bytes:
    """Return a list with more entries, and without those that are ``gone``; None: a new one.

    What other clients wrote besides stays.
    """
    document = dict(listed or {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []})
    kept = [entry for entry in document["manifests"] if str(entry["digest"]) not in gone]
    document["manifests"] = [*kept, *entries]
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
