"""What replication asks of another registry besides reading and writing: to list, to take away.

Each way to manage a registry is a class; ``registry_sync.adapters`` says which kind is managed how.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests
from urllib3.exceptions import HTTPError

from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.remote import RemoteRegistry

# What a registry answers that deletes no tag by its name (distribution 2.8 deletes digests only).
_UNABLE = frozenset({400, 404, 405})


_MAX_ANSWER_BYTES = 16 * 1024 * 1024


class UnableError(Exception):
    """The registry has no way to do this."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a registry says of one of its artifacts."""

    kind: str
    labels: frozenset[str]


class ManagedRegistry(RemoteRegistry):
    """Any registry of the specification; for one thread."""

    def __init__(self, url: str, **options: Any) -> None:
        """As every client's."""
        super().__init__(url, **options)
        # What was found or made by ``prepare``; a client that failed is not used again.
        self._prepared: set[str] = set()

    @classmethod
    def is_place(cls, url: str) -> bool:
        """Whether a registry of this kind may be at an address."""
        return True

    def prepare(self, repository: str) -> None:
        """Have whatever must be there before a push. Raises ``RegistryError``."""

    def has_project(self, name: str) -> bool:
        """Return whether the first component of a repository's name may be asked for."""
        return True

    def repositories_in(self, namespace: str) -> Iterator[str]:
        """Yield the names of repositories, at least those below a namespace (empty: all)."""
        yield from self.repositories()

    def described(self, repository: str) -> Mapping[str, Described]:
        """Return what the registry knows of its artifacts, by digest. Raises ``UnableError``."""
        raise UnableError

    def delete_tag(self, repository: str, digest: str, tag: str) -> None:
        """Delete a tag and nothing else.

        Raises ``UnableError`` where the registry cannot do that, ``RegistryError``.
        """
        try:
            self._delete(repository, tag)
        except RegistryRejectedError as error:
            if error.status in _UNABLE:
                raise UnableError from error
            raise

    def delete_artifact(self, repository: str, digest: str) -> None:
        """Delete a manifest with every tag that points to it; gone already is as good."""
        try:
            self._delete(repository, digest)
        except RegistryRejectedError as error:
            if error.status != 404:
                raise

    def _delete(self, repository: str, reference: str) -> None:
        path = f"/v2/{repository}/manifests/{quote(reference, safe=':')}"
        scope = f"repository:{repository}:delete,pull"
        with self._ask("DELETE", path, scope) as response:
            self._require(response, 200, 202)

    @staticmethod
    def _json(response: requests.Response) -> Any:
        """Return an answer's document. Raises ``RegistryUnavailableError``."""
        try:
            content = response.raw.read(_MAX_ANSWER_BYTES + 1)
            if len(content) > _MAX_ANSWER_BYTES:
                raise RegistryUnavailableError("the registry's answer is too long")
            return json.loads(content)
        except (HTTPError, OSError, ValueError, RecursionError) as error:
            raise RegistryUnavailableError("the registry's answer cannot be read") from error
