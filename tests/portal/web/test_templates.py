"""Rules for every template and every page's headers."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from tests.conftest import Cast

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
SCRIPTS = sorted((settings.BASE_DIR / "static" / "js").glob("*.js"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_nothing_is_inline(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\sstyle=", text)
    assert not re.search(r"\son[a-z]+=|hx-on|hx-vals=.js:", text)
    assert "<style" not in text
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert "|safe" not in text
    assert "autoescape off" not in text
    assert not re.search(r"""(?:href|src)=["']https?:""", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_forms_that_change_something_carry_a_token(path: Path) -> None:
    for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", path.read_text(), re.DOTALL):
        assert "{% csrf_token %}" in form


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_small_and_evaluate_nothing(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 80
    assert not re.search(r"\beval\(|new Function|innerHTML|insertAdjacentHTML", text)


@pytest.mark.parametrize("path", ["/account/sign-in", "/p/", "/p/library", "/p/nothing/here"])
def test_the_content_security_policy_allows_nothing_unsafe(cast: Cast, path: str) -> None:
    policy = Client().get(path).headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


def test_every_page_has_one_heading(cast: Cast) -> None:
    for path in ("/account/sign-in", "/p/", "/p/library", "/nothing"):
        assert Client().get(path).content.count(b"<h1") == 1, path


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_what_htmx_fetches_is_reached_without_it(path: Path) -> None:
    text = path.read_text()
    for found in re.finditer(r"<([a-z-]+)\b[^>]*?\shx-(?:get|post)=", text):
        tag, start = found[1], found.start()
        element = text[start : text.index(">", found.end())]
        if tag == "a":
            assert "href=" in element, element
        elif tag not in {"form", "x-poll"} and "<form" in text:
            # What polls only shows sooner what loading again would show; the rest is in a form, in
            # this template or in the one that includes it.
            before = text[:start]
            assert before.count("<form") > before.count("</form>"), element


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_dates_are_written_for_who_is_looking(path: Path) -> None:
    """``day`` and ``moment`` do; what programs read and what is named UTC is the same to all."""
    text = re.sub(r"""datetime="[^"]*"|\|utc\|date:"[^"]*\"""", "", path.read_text())
    # T is the name of the zone that they chose.
    assert set(re.findall(r"""\|(?:date|time):["']([^"']*)""", text)) <= {"T"}
