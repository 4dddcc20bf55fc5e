"""How an endpoint describes itself: what each method takes and gives.

An endpoint names for each method what it takes and gives (``operations``); path, permission,
summary and errors follow from the code, so that the description (``portal.openapi``) cannot promise
what is not there.
"""

from dataclasses import dataclass
from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

_PAGE = ("page", "page_size", "q", "sort")
_WORDS = {
    "page": "Which page, from 1.",
    "page_size": "Rows on a page, at most 100.",
    "q": "Conditions such as name=exact,name=~part,name={one other}.",
    "sort": "Fields with commas between them, with - before one for descending.",
}
_ERRORS = {
    "4XX": "What the caller can change; the message says what.",
    "5XX": "What the caller cannot change; 503 is worth another attempt.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method of an endpoint takes and gives."""

    takes: type[serializers.Serializer[Any]] | None = None
    gives: type[serializers.Serializer[Any]] | None = None
    is_list: bool = False
    # The list comes whole, without pages.
    is_whole: bool = False
    status: int = 200
    query: tuple[str, ...] = ()
    # What it gives where that is not JSON, or JSON of no fixed form.
    media_type: str = "application/json"
    # The contract's name of it; made from class and method where the contract has none.
    name: str = ""


NOTHING = Operation()


class EndpointSchema(AutoSchema):
    """Reads an ``Endpoint``."""

    @property
    def operation(self) -> Operation:
        """What the endpoint says of the method."""
        found: Operation = getattr(self.view, "operations", {}).get(self.method, NOTHING)
        return found

    def get_operation_id(self) -> str:
        """Name it after class and method: ``getRobots``."""
        return self.operation.name or f"{self.method.lower()}{type(self.view).__name__}"

    def get_tags(self) -> list[str]:
        """Group by the module: ``robots``."""
        return [type(self.view).__module__.rpartition(".")[2]]

    def get_summary(self) -> str:
        """Return the method's own first line."""
        lines = (self._handler().__doc__ or "").strip().splitlines()
        return lines[0] if lines else ""

    def get_description(self) -> str:  # type: ignore[override]
        """Say who may."""
        who = getattr(self.view, "permissions", {}).get(self.method)
        lines = ((who.__doc__ if who else "") or "").strip().splitlines()
        return f"For: {lines[0]}" if lines else ""

    def _handler(self) -> Any:
        return getattr(self.view, self.method.lower())

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Leave it to the document: every endpoint takes the same."""
        return []

    def _get_parameters(self) -> list[dict[str, Any]]:
        return [*map(_path_parameter, self._path_names()), *map(_query_parameter, self._queries())]

    def _path_names(self) -> list[tuple[str, str]]:
        names = [part[1:-1] for part in self.path.split("/") if part.startswith("{")]
        return [(n, "integer" if f"<int:{n}>" in self.path_regex else "string") for n in names]

    def _queries(self) -> tuple[str, ...]:
        return (*self.operation.query, *(_PAGE if self._is_paged() else ()))

    def _is_paged(self) -> bool:
        return self.operation.is_list and not self.operation.is_whole

    def get_request_serializer(self) -> Any:
        """Return what it takes."""
        return self.operation.takes

    def get_response_serializers(self) -> Any:
        """Return what it gives."""
        return self.operation.gives

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = {str(self.operation.status): self._success()}
        for status, words in _ERRORS.items():
            content = {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}
            bodies[status] = {"description": words, "content": content}
        return bodies

    def _success(self) -> dict[str, Any]:
        body: dict[str, Any] = {"description": "Done."}
        gives = self.operation.gives
        if gives is not None:
            schema = self.resolve_serializer(gives(), "response").ref
            if self.operation.is_list:
                schema = {"type": "array", "items": schema}
            body["content"] = {"application/json": {"schema": schema}}
        elif self.operation.media_type != "application/json":
            content = {self.operation.media_type: {"schema": {"type": "string"}}}
            body["content"] = content
        elif self.method == "GET":
            body["content"] = {"application/json": {"schema": {}}}
        headers = {}
        if self._is_paged():
            headers["X-Total-Count"] = _header("Rows on all pages.", "integer")
            headers["Link"] = _header("The pages before and after.", "string")
        if self.operation.status == 201:
            headers["Location"] = _header("Where the new one is.", "string")
        return body | ({"headers": headers} if headers else {})


def _header(words: str, kind: str) -> dict[str, Any]:
    return {"description": words, "schema": {"type": kind}}


def _path_parameter(named: tuple[str, str]) -> dict[str, Any]:
    name, kind = named
    return {"in": "path", "name": name, "required": True, "schema": {"type": kind}}


def _query_parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name.startswith("page"):
        schema = {"type": "integer", "minimum": 1}
    parameter = {"in": "query", "name": name, "schema": schema}
    return parameter | ({"description": _WORDS[name]} if name in _WORDS else {})
