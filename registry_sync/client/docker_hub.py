"""Docker Hub: it lists repositories at another host, by an API of its own."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from registry_sync.client import outbound
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.managed import ManagedRegistry

_MAX_PAGES = 1000
# Where images without a namespace of their own are.
OFFICIAL = "library"


class DockerHubRegistry(ManagedRegistry):
    """Docker Hub, whose registry gives no catalogue."""

    # Documented at https://docs.docker.com/reference/api/hub/latest/.
    api = "https://hub.docker.com"

    def repositories(self) -> Iterator[str]:
        """Yield the repositories of whoever signs in."""
        yield from self.repositories_in("")

    def repositories_in(self, namespace: str) -> Iterator[str]:
        """Yield the repositories of a namespace (empty: of whoever signs in)."""
        wanted = namespace or (self._credentials[0] if self._credentials else "")
        if not wanted:
            raise RegistryUnavailableError("Docker Hub lists only a namespace; name one")
        headers = {}
        if self._credentials:
            headers["Authorization"] = f"Bearer {self._login(*self._credentials)}"
        url: str | None
        url = f"{self.api}/v2/namespaces/{quote(wanted, safe='')}/repositories?page_size=100"
        for _page in range(_MAX_PAGES):
            with outbound.send(self._session, "GET", url, headers=headers) as response:
                if response.status_code == 404:
                    return
                self._require(response, 200)
                page = self._json(response)
            names, url = _read(page)
            yield from (f"{wanted}/{name}" for name in names)
            if url is None:
                return
            if not url.startswith(f"{self.api}/"):
                raise RegistryUnavailableError("Docker Hub's list goes on at another address")

    def _login(self, identifier: str, secret: str) -> str:
        """Return a token of the API; the registry's own are made elsewhere."""
        body = {"identifier": identifier, "secret": secret}
        with outbound.send(
            self._session, "POST", f"{self.api}/v2/auth/token", json=body
        ) as response:
            if response.status_code in {400, 401, 403}:
                raise RegistryRejectedError(response.status_code, "UNAUTHORIZED")
            self._require(response, 200)
            document = self._json(response)
        try:
            return str(document["access_token"])
        except (KeyError, TypeError) as error:
            raise RegistryUnavailableError("Docker Hub's token cannot be read") from error


def _read(page: Any) -> tuple[list[str], str | None]:
    """Return a page's names, and where the next one is."""
    try:
        following = page["next"]
        return [str(row["name"]) for row in page["results"]], str(following) if following else None
    except (KeyError, TypeError) as error:
        raise RegistryUnavailableError("Docker Hub's list cannot be read") from error
