"""Lends a Harbor client library to the tests: a call a line comes in, its outcome goes out.

It runs in the libraries' own environment (``.venv-clients``), because harbor-api-client pins
versions that ours cannot have. ``driver.py LIBRARY URL USERNAME``, and the password is the first
line. A call is ``{"method", "positional", "named"}``; ``{"model", "fields"}`` anywhere below stands
for an object of the library. An outcome is ``{"result"}`` or ``{"error", "status", "message"}``.
"""

import asyncio
import importlib
import json
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Method = Callable[..., Awaitable[Any]]


def harborapi_methods(url: str, username: str, password: str) -> Callable[[str], Method]:
    """Look methods up in harborapi, whose answers are validated against its models."""
    library = importlib.import_module("harborapi")
    client = library.HarborAsyncClient(url=url, username=username, secret=password)

    def find(name: str) -> Method:
        method: Method = getattr(client, name)
        return method

    return find


def harbor_client_methods(url: str, username: str, password: str) -> Callable[[str], Method]:
    """Look ``UserApi.list_users`` up in harbor-api-client; the answer's headers come with it."""
    library = importlib.import_module("harbor_client")
    configuration = library.Configuration()
    configuration.host, configuration.username = url, username
    configuration.password = password
    client = library.ApiClient(configuration)

    def find(name: str) -> Method:
        noun, _dot, method = name.partition(".")
        plain = getattr(getattr(library, noun)(client), method)

        async def called(*positional: Any, **named: Any) -> dict[str, Any]:
            data = plain(*positional, **named)
            response = client.last_response
            # Its base types are left as they are; its models become the fields they were sent as.
            return {
                "data": client.sanitize_for_serialization(data),
                "status": response.status,
                "headers": {key.lower(): value for key, value in response.getheaders().items()},
            }

        return called

    return find


LIBRARIES = {
    "harborapi": (harborapi_methods, "harborapi.models"),
    "harbor_client": (harbor_client_methods, "harbor_client"),
}


def decoded(value: Any, models: Any) -> Any:
    """Turn ``{"model", "fields"}`` into the library's own objects."""
    if isinstance(value, dict):
        if set(value) == {"model", "fields"}:
            return getattr(models, value["model"])(**decoded(value["fields"], models))
        return {key: decoded(item, models) for key, item in value.items()}
    if isinstance(value, list):
        return [decoded(item, models) for item in value]
    return value


def encoded(value: Any) -> Any:
    """Turn what a library returned into what JSON holds."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [encoded(item) for item in value]
    if isinstance(value, dict):
        return {str(key): encoded(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    content = getattr(value, "content", None)
    return content.decode() if isinstance(content, bytes) else str(value)


def status_of(error: BaseException) -> int:
    """Return the HTTP status that an error of a library tells of, 0 where there was none."""
    for holder in (error, getattr(error, "response", None), error.__cause__):
        for name in ("status", "status_code"):
            found = getattr(holder, name, None)
            if isinstance(found, int):
                return found
    return 0


async def answer(call: dict[str, Any], find: Callable[[str], Method], models: Any) -> Any:
    """Make one call."""
    try:
        positional = decoded(call["positional"], models)
        made = find(call["method"])(*positional, **decoded(call["named"], models))
        return {"result": encoded(await made)}
    except Exception as error:  # Whatever it is, the test is to see it.
        body = getattr(error, "body", "") or getattr(error, "errors", "")
        said = re.sub(r"\s+", " ", f"{error} {body}").strip()
        return {"error": type(error).__name__, "status": status_of(error), "message": said}


async def run(library: str, url: str, username: str) -> None:
    """Answer until there is nothing more to read."""
    methods, models = LIBRARIES[library]
    find = methods(url, username, sys.stdin.readline().rstrip("\n"))
    for line in sys.stdin:
        outcome = await answer(json.loads(line), find, importlib.import_module(models))
        sys.stdout.write(json.dumps(outcome) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
