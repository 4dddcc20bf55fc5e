"""The API's reference as a page."""

import pytest
from django.test import Client

from tests.portal.web.conftest import text_of


@pytest.mark.django_db
def test_it_lists_every_operation_and_needs_no_script(client: Client) -> None:
    response = client.get("/api-reference")
    page = text_of(response)
    assert response.status_code == 200
    assert "POST /robots" in page
    assert "push_tag_patterns" in page
    assert "Make a robot" in page
    main = response.content.decode().partition("<main")[2]
    assert "<script" not in main
    assert "style=" not in main
    assert main.count('<details id="') == len(set(main.split('<details id="'))) - 1
