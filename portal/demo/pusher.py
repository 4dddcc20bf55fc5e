"""Pushes over the registry protocol, as docker does (OCI distribution-spec 1.1, "Push")."""

from urllib.parse import urljoin

import requests

from portal.demo.images import Artifact


class PushError(Exception):
    """The registry refused; the message says what and why."""


class Pusher:
    """One client with one account."""

    def __init__(self, url: str, username: str, password: str) -> None:
        """``url`` is Moorage's public address."""
        self._url = url
        self._credentials = (username, password)
        self._session = requests.Session()
        self._session.trust_env = False

    def push(self, repository: str, artifact: Artifact, *tags: str) -> None:
        """Push an artifact with all it needs, by digest and under each tag.

        Raises ``PushError``.
        """
        token = self._token(repository)
        self._push(repository, artifact, token, tags)

    def _push(self, repository: str, artifact: Artifact, token: str, tags: tuple[str, ...]) -> None:
        for child in artifact.children:
            self._push(repository, child, token, ())
        for digest, content in artifact.blobs.items():
            self._push_blob(repository, digest, content, token)
        for reference in tags or (artifact.digest,):
            response = self._send(
                "PUT",
                f"/v2/{repository}/manifests/{reference}",
                token,
                data=artifact.content,
                content_type=artifact.media_type,
            )
            _require(response, 201)

    def _push_blob(self, repository: str, digest: str, content: bytes, token: str) -> None:
        path = f"/v2/{repository}/blobs/{digest}"
        if self._send("HEAD", path, token).status_code == 200:
            return
        started = self._send("POST", f"/v2/{repository}/blobs/uploads/", token)
        _require(started, 202)
        location = started.headers["Location"]
        separator = "&" if "?" in location else "?"
        finished = self._send(
            "PUT",
            f"{location}{separator}digest={digest}",
            token,
            data=content,
            content_type="application/octet-stream",
        )
        _require(finished, 201)

    def _token(self, repository: str) -> str:
        response = self._session.get(
            f"{self._url}/service/token",
            params={"service": "moorage", "scope": f"repository:{repository}:pull,push"},
            auth=self._credentials,
            timeout=30,
        )
        _require(response, 200)
        return str(response.json()["token"])

    def _send(
        self, method: str, path: str, token: str, *, data: bytes = b"", content_type: str = ""
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        if content_type:
            headers["Content-Type"] = content_type
        return self._session.request(
            method, urljoin(self._url, path), data=data, headers=headers, timeout=60
        )


def _require(response: requests.Response, status: int) -> None:
    if response.status_code != status:
        raise PushError(
            f"{response.request.method} {response.url.partition('?')[0]} answered "
            f"{response.status_code}: {response.text[:300]}"
        )
