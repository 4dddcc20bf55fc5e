"""schemathesis over Harbor's own contract, for the operations that exist here.

What succeeds must be as the contract has it: status, headers, form, content. Not asked of
* an error's status, because the contract leaves most out that Harbor itself answers with (400 for
  a page that is no number, 404 for a project that is not there): it must have an error's form;
* the type of a body that is empty, which Harbor leaves out too;
* an error's type where the contract promises a text or a file: errors are JSON everywhere.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from schemathesis.specs.openapi.checks import content_type_conformance

from tests.conftest import Cast
from tests.portal.api.fuzzing import CHECKS, fuzz, load, operations, things
from tools import compatibility

CONTRACT = Path(__file__).parent / "harbor-contract.json"


def contract() -> dict[str, Any]:
    """Read the contract, less one mistake: it makes an image's attributes objects.

    Harbor itself sends texts there (``"architecture": "amd64"``), and clients read them.
    """
    document: dict[str, Any] = json.loads(CONTRACT.read_text())
    document["definitions"]["ExtraAttrs"] = {"type": "object"}
    return document


SCHEMA = load(contract())


def implemented() -> list[str]:
    """Return the contract's operations that exist here."""
    here = compatibility.implemented()
    found = []
    for operation in operations(SCHEMA):
        method, path = operation.method.upper(), operation.path
        key = compatibility.ContractOperation("", method, path, "").key
        if key in here:
            found.append(operation.label)
    return found


def checks_of(response: Any) -> list[Any]:
    """Return what is asked of an answer."""
    if 400 <= response.status_code < 500:
        return [is_an_error]
    if not response.content:
        return [check for check in CHECKS if check is not content_type_conformance]
    return CHECKS


def is_an_error(context: object, response: Any, case: object) -> None:
    """Check the form of an error."""
    (error,) = json.loads(response.content)["errors"]
    assert set(error) == {"code", "message"}
    assert error["message"]


@pytest.mark.django_db
@pytest.mark.parametrize("label", implemented())
def test_answers_are_as_the_contract_has_them(label: str, cast: Cast) -> None:
    method, _space, path = label.partition(" ")
    fuzz(SCHEMA[path][method], things(cast), checks_of)
