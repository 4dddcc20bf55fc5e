"""The gallery shows every building block, in every state."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from portal.web.gallery_examples import STATES
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, text_of

PATH = "/admin/settings/building-blocks"
TEMPLATES: Path = settings.BASE_DIR / "templates"
BLOCKS = sorted(
    path.relative_to(TEMPLATES / "cotton").with_suffix("").as_posix()
    for path in (TEMPLATES / "cotton").rglob("*.html")
)
# The heads of pages: with an h1, of which a page has one.
HEADS = {"repository_head", "layers/head"}


def used_in(text: str) -> set[str]:
    """Return the blocks that a template uses, by their files' names."""
    found = re.findall(r"<c-([a-z0-9.-]+)", text)
    return {name.replace("-", "_").replace(".", "/") for name in found}


def test_every_block_is_in_the_gallery() -> None:
    folder = TEMPLATES / "gallery"
    shown = set().union(*(used_in(path.read_text()) for path in folder.glob("*.html")))
    missing = set(BLOCKS) - shown - HEADS
    assert missing == set(), "show them in templates/gallery/, with an example of each state"


@pytest.mark.parametrize("state", STATES)
def test_it_shows_every_state(cast: Cast, signed_in: SignedIn, state: str) -> None:
    page = text_of(signed_in(cast.admin).get(PATH, {"state": state}))
    assert f'href="?state={state}" aria-current="page"' in page
    assert ("Nothing at the moment." in page) == (state == "empty")
    assert ("一段文字很長" in page) == (state == "long")
    assert page.count("<h1") == 1


def test_an_unknown_state_is_the_usual_one(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    assert 'href="?state=usual" aria-current="page"' in text_of(client.get(PATH, {"state": "x"}))


def test_it_is_for_administrators(cast: Cast, signed_in: SignedIn) -> None:
    assert signed_in(cast.bob).get(PATH).status_code == 403
