"""schemathesis over our own description of the API: no answer is a fault or a surprise."""

import pytest

from portal.openapi import document
from tests.conftest import Cast
from tests.portal.api.fuzzing import fuzz, load, operations, things

SCHEMA = load(document())


@pytest.mark.django_db
@pytest.mark.parametrize("label", [operation.label for operation in operations(SCHEMA)])
def test_answers_are_as_described(label: str, cast: Cast) -> None:
    method, _space, path = label.partition(" ")
    fuzz(SCHEMA[path][method], things(cast))
