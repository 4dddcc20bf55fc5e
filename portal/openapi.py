"""The API's description as one OpenAPI document, for the API itself and for the reference page."""

from functools import lru_cache
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings

_PREFIX = "/v2.0"
_ROOT = "/api/v2.0"


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
