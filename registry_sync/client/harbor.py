"""Registries that speak the Harbor API v2.0 too: Harbor and Moorage."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from registry_sync.client import outbound
from registry_sync.client.errors import Obstacle, RegistryUnavailableError
from registry_sync.client.managed import Described, ManagedRegistry

_PAGE = 100
# A repository with more is looked at in vain.
_MAX_PAGES = 1000


class HarborRegistry(ManagedRegistry):
    """Makes projects, tells labels, deletes one tag at a time, into the trash of a Moorage."""

    def ping(self) -> None:
        """Ask whether it is a registry that lets us in, and has the API."""
        super().ping()
        with outbound.send(self._session, "GET", f"{self._base}/api/v2.0/ping") as response:
            if response.status_code == 404:
                told = "the registry has no Harbor API"
                raise RegistryUnavailableError(told, obstacle=Obstacle.NO_HARBOR)

    def prepare(self, repository: str) -> None:
        """Make the project where it is missing."""
        project = repository.partition("/")[0]
        if project in self._prepared:
            return
        if not self.has_project(project):
            self.make_project(project)
        self._prepared.add(project)

    def has_project(self, name: str) -> bool:
        """Return whether there is a project of that name."""
        place = f"{self._base}/api/v2.0/projects?{urlencode({'project_name': name})}"
        with outbound.send(self._session, "HEAD", place, auth=self._credentials) as response:
            if response.status_code == 404:
                return False
            self._require(response, 200)
            return True

    def make_project(self, name: str) -> None:
        """Make a project. Raises ``RegistryRejectedError`` where we may not."""
        options = {"json": {"project_name": name}, "auth": self._credentials}
        place = f"{self._base}/api/v2.0/projects"
        with outbound.send(self._session, "POST", place, **options) as response:
            # 409: somebody was faster.
            self._require(response, 201, 409)

    def described(self, repository: str) -> Mapping[str, Described]:
        """Return type and labels of the repository's artifacts, by digest."""
        found: dict[str, Described] = {}
        try:
            for artifact in self._artifacts(repository):
                labels = artifact.get("labels") or ()
                names = frozenset(str(label["name"]) for label in labels)
                found[str(artifact["digest"])] = Described(str(artifact.get("type", "")), names)
        except (KeyError, TypeError) as error:
            raise RegistryUnavailableError("the registry's list cannot be read") from error
        return found

    def delete_tag(self, repository: str, digest: str, tag: str) -> None:
        """Delete a tag and nothing else; gone already is as good."""
        self._delete_there(f"{_place(repository)}/artifacts/{digest}/tags/{quote(tag)}")

    def delete_artifact(self, repository: str, digest: str) -> None:
        """Delete an artifact with its tags and what is about it."""
        self._delete_there(f"{_place(repository)}/artifacts/{digest}")

    def _delete_there(self, path: str) -> None:
        place = f"{self._base}/api/v2.0/{path}"
        with outbound.send(self._session, "DELETE", place, auth=self._credentials) as response:
            self._require(response, 200, 404)

    def _artifacts(self, repository: str) -> Iterator[dict[str, Any]]:
        for page in range(1, _MAX_PAGES):
            query = urlencode({"with_label": "true", "page": page, "page_size": _PAGE})
            place = f"{self._base}/api/v2.0/{_place(repository)}/artifacts?{query}"
            with outbound.send(self._session, "GET", place, auth=self._credentials) as response:
                if response.status_code == 404:
                    return
                self._require(response, 200)
                rows = self._json(response)
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise RegistryUnavailableError("the registry's list cannot be read")
            yield from rows
            if len(rows) < _PAGE:
                return


def _place(repository: str) -> str:
    """Name a repository as the API does: its slashes are encoded twice."""
    project, _slash, path = repository.partition("/")
    return f"projects/{quote(project)}/repositories/{quote(quote(path, safe=''), safe='')}"
