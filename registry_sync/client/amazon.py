"""Amazon ECR: its passwords are made by an API of AWS, last 12 hours, and so do no longer serve.

boto3 would send on connections of its own. Only its signature (SigV4) is used, and the request goes
out as all others do: to an address that was looked at.
"""

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import requests

from registry_sync.client import outbound
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.managed import ManagedRegistry

_HOST = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)"
    r"\.(?P<domain>amazonaws\.com(?:\.cn)?)"
)
EXAMPLE = "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"
_TARGET = "AmazonEC2ContainerRegistry_V20150921"
# Renewed before AWS would have it: a transfer that has begun is let through to its end.
_EARLY_SECONDS = 3600.0
_DEFAULT_SECONDS = 12 * 3600.0


@dataclass(frozen=True, slots=True)
class _Password:
    name: str
    secret: str
    until: float


# By key, secret and API: what AWS gave, for every client of this process.
_passwords: dict[tuple[str, str, str], _Password] = {}
_lock = threading.Lock()


class AmazonRegistry(ManagedRegistry):
    """A private ECR registry; user name and password are an access key and its secret."""

    # The API's address where it is not AWS's own, for tests.
    api = ""

    def __init__(self, url: str, **options: Any) -> None:
        """As every client's; raises ``ValueError`` for an address that is no ECR's."""
        super().__init__(url, **options)
        self._key = self._credentials
        found = _HOST.fullmatch(urlsplit(url).hostname or "")
        if found is None and not self.api:
            raise ValueError(f"an address looks like {EXAMPLE}")
        self._region = found["region"] if found else "us-east-1"
        domain = found["domain"] if found else ""
        self._api = self.api or f"https://api.ecr.{self._region}.{domain}"

    @classmethod
    def is_place(cls, url: str) -> bool:
        """Whether the address is one of ECR's."""
        return bool(cls.api or _HOST.fullmatch(urlsplit(url).hostname or ""))

    def prepare(self, repository: str) -> None:
        """Make the repository where it is missing: ECR takes no push into one that is not there."""
        if repository in self._prepared:
            return
        try:
            self._call("DescribeRepositories", repositoryNames=[repository])
        except RegistryRejectedError as error:
            if error.code != "RepositoryNotFoundException":
                raise
            self._create(repository)
        self._prepared.add(repository)

    def repositories(self) -> Iterator[str]:
        """Yield every repository's name."""
        more: dict[str, str] = {}
        while True:
            page = self._call("DescribeRepositories", maxResults=1000, **more)
            try:
                yield from (str(row["repositoryName"]) for row in page["repositories"])
            except (KeyError, TypeError) as error:
                raise RegistryUnavailableError("ECR's list cannot be read") from error
            if not page.get("nextToken"):
                return
            more = {"nextToken": str(page["nextToken"])}

    def delete_tag(self, repository: str, digest: str, tag: str) -> None:
        """Delete a tag; with its last one ECR deletes the image."""
        self._call("BatchDeleteImage", repositoryName=repository, imageIds=[{"imageTag": tag}])

    def _create(self, repository: str) -> None:
        try:
            self._call("CreateRepository", repositoryName=repository)
        except RegistryRejectedError as error:
            # Somebody was faster.
            if error.code != "RepositoryAlreadyExistsException":
                raise

    def _answer(self, challenge: str, scope: str) -> str:
        """Answer with a password that is good now; a client may live longer than one."""
        if self._key is not None:
            password = self._password(self._key)
            self._credentials = (password.name, password.secret)
        return super()._answer(challenge, scope)

    def _password(self, key: tuple[str, str]) -> _Password:
        place = (*key, self._api)
        with _lock:
            kept = _passwords.get(place)
        if kept is None or kept.until <= time.time():
            kept = self._fetched()
            with _lock:
                _passwords[place] = kept
        return kept

    def _fetched(self) -> _Password:
        document = self._call("GetAuthorizationToken")
        try:
            data = document["authorizationData"][0]
            name, _colon, secret = (
                base64.b64decode(data["authorizationToken"]).decode().partition(":")
            )
            until = float(data.get("expiresAt") or time.time() + _DEFAULT_SECONDS)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise RegistryUnavailableError("ECR's password cannot be read") from error
        return _Password(name, secret, until - _EARLY_SECONDS)

    def _call(self, action: str, **given: object) -> dict[str, Any]:
        """Call the API. Raises ``RegistryRejectedError`` with AWS's name of the error."""
        if self._key is None:
            raise RegistryRejectedError(401, "UNAUTHORIZED")
        content = json.dumps(given).encode()
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{_TARGET}.{action}",
        }
        signed = _signed(self._key, self._region, f"{self._api}/", headers, content)
        with outbound.send(
            self._session, "POST", f"{self._api}/", headers=signed, data=content
        ) as response:
            document = self._json(response)
            if response.status_code == 200 and isinstance(document, dict):
                return document
            raise _error(response, document)


def _signed(
    key: tuple[str, str], region: str, url: str, headers: dict[str, str], content: bytes
) -> dict[str, str]:
    """Return the headers with a signature (AWS Signature Version 4)."""
    try:
        auth = import_module("botocore.auth")
        awsrequest = import_module("botocore.awsrequest")
        credentials = import_module("botocore.credentials")
    except ModuleNotFoundError as error:
        raise RegistryUnavailableError(
            "Amazon ECR needs boto3: install Moorage with its extra s3"
        ) from error
    request = awsrequest.AWSRequest(method="POST", url=url, headers=headers, data=content)
    auth.SigV4Auth(credentials.Credentials(*key), "ecr", region).add_auth(request)
    return {str(name): str(value) for name, value in request.headers.items()}


def _error(response: requests.Response, document: Any) -> Exception:
    kind = document.get("__type") if isinstance(document, dict) else None
    code = str(kind or "").rpartition("#")[2]
    if not code.isalnum() or len(code) > 64:
        code = ""
    status = response.status_code
    if status >= 500 or code == "ThrottlingException":
        return RegistryUnavailableError(f"the API of ECR answered {status}")
    is_denied = status in {401, 403} or code in {
        "AccessDeniedException",
        "InvalidSignatureException",
        "UnrecognizedClientException",
    }
    return RegistryRejectedError(403 if is_denied else status, code)
