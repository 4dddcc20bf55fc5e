"""The API's own description, made from what the endpoints say of themselves.

An endpoint names for each method what it takes and gives (``operations``); path, permission,
summary and errors follow from the code, so that the document cannot promise what is not there.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.settings import patched_settings
from rest_framework import serializers

_PREFIX = "/v2.0"
_ROOT = "/api/v2.0"
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
        return (*self.operation.query, *(_PAGE if self.operation.is_list else ()))

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
        headers = {}
        if self.operation.is_list:
            headers["X-Total-Count"] = _header("Rows on all pages.", "integer")
            headers["Link"] = _header("The pages before and after.", "string")
        if self.operation.status == 201:
            headers["Location"] = _header("Where the new one is.", "string")
        return body | ({"headers": headers} if headers else {})


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    generator = SchemaGenerator(urlconf="portal.api.urls")  # type: ignore[no-untyped-call]
    # Choices stay where they are used, instead of becoming schemas with names of their own.
    with patched_settings({"POSTPROCESSING_HOOKS": []}):
        made: dict[str, Any] = generator.get_schema(  # type: ignore[no-untyped-call]
            request=None, public=True
        )
    made["info"] = {
        "title": "Moorage",
        "version": settings.VERSION,
        "description": "The Harbor API v2.0, as far as Moorage has it, and what Moorage adds.",
    }
    made["servers"] = [{"url": _ROOT}]
    paths = {path.removeprefix(_PREFIX): item for path, item in made["paths"].items()}
    made["paths"] = dict(sorted(paths.items()))
    made["security"] = [{"basic": []}, {"token": []}, {"session": []}, {}]
    components = made.setdefault("components", {})
    components.setdefault("schemas", {})["Errors"] = _errors()
    components["securitySchemes"] = {
        "basic": {"type": "http", "scheme": "basic"},
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
    }
    return made


def _errors() -> dict[str, Any]:
    text = {"type": "string"}
    error = {
        "type": "object",
        "properties": {"code": text, "message": text},
        "required": ["code", "message"],
    }
    return {
        "type": "object",
        "properties": {"errors": {"type": "array", "items": error}},
        "required": ["errors"],
    }


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
