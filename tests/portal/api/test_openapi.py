"""The API's description says of every operation what there is."""

import inspect
from collections.abc import Callable

from drf_spectacular.validation import validate_schema

from portal.api import urls
from portal.api.endpoint import Endpoint
from portal.openapi import document
from tests.portal.api.conftest import Caller, told
from tests.portal.api.route_matrix import ROWS


def operations() -> dict[tuple[str, str], dict[str, object]]:
    return {
        (method.upper(), path): operation
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    }


def test_it_is_valid() -> None:
    validate_schema(document())  # type: ignore[no-untyped-call]


def test_every_route_is_in_it() -> None:
    def plain(route: str) -> str:
        parts = route.removeprefix("v2.0").split("/")
        names = [part.strip("<>").partition(":")[2] if "<" in part else "" for part in parts]
        return "/".join(
            f"{{{name}}}" if name else part for name, part in zip(names, parts, strict=True)
        )

    routes = {row.route for row in ROWS}
    rows = {
        (row.method, plain(row.route))
        for row in ROWS
        # A path that answers with and without a slash at its end is described with it.
        if row.route and row.method != "HEAD" and f"{row.route}/" not in routes
    }
    assert rows == set(operations())


def test_every_operation_has_a_name_a_summary_and_its_errors() -> None:
    found = operations()
    assert len({operation["operationId"] for operation in found.values()}) == len(found)
    for key, operation in found.items():
        assert operation["summary"], key
        assert str(operation["description"]).startswith("For: "), key
        responses = operation["responses"]
        assert isinstance(responses, dict)
        assert {"4XX", "5XX"} < set(responses), key
        # What is read has a form.
        if key[0] == "GET":
            assert "content" in responses["200"], key


def test_what_reads_a_body_says_which() -> None:
    for pattern in urls.urlpatterns:
        endpoint = getattr(pattern.callback, "view_class", Endpoint)
        for method in ("post", "put", "patch"):
            source = inspect.getsource(getattr(endpoint, method, Endpoint))
            if hasattr(endpoint, method) and "request.data" in source:
                operation = endpoint.operations.get(method.upper())
                assert operation is not None, endpoint
                assert operation.takes is not None, endpoint


def test_no_two_forms_share_a_name() -> None:
    forms: dict[str, set[type[object]]] = {}
    for pattern in urls.urlpatterns:
        endpoint = getattr(pattern.callback, "view_class", Endpoint)
        for operation in endpoint.operations.values():
            for form in (operation.takes, operation.gives):
                if form is not None:
                    forms.setdefault(form.__name__.removesuffix("Serializer"), set()).add(form)
    assert [found for found in forms.values() if len(found) > 1] == []


def test_every_path_parameter_is_named() -> None:
    for (_method, path), operation in operations().items():
        parameters = operation.get("parameters", [])
        assert isinstance(parameters, list)
        named = {p["name"] for p in parameters if p["in"] == "path"}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_anyone_may_read_it(caller: Callable[[str], Caller]) -> None:
    assert told(caller("").get("openapi.json"))["openapi"].startswith("3.")
