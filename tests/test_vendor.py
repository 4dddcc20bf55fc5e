"""The third-party files are those that VENDOR.toml names, unchanged."""

import hashlib
import re
import tomllib

import pytest
from django.conf import settings

from tools.vendor_update import SOURCES, icons_in_use

VENDOR = settings.BASE_DIR / "static" / "vendor"
FILES = tomllib.loads((VENDOR / "VENDOR.toml").read_text())["file"]


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: entry["name"])
def test_a_file_is_unchanged(entry: dict[str, str]) -> None:
    content = (VENDOR / entry["name"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]


def test_every_file_is_listed_with_its_licence() -> None:
    there = {path.name for path in VENDOR.iterdir() if path.is_file()} - {"VENDOR.toml"}
    assert there == {entry["name"] for entry in FILES} == {source.target for source in SOURCES}
    for entry in FILES:
        label = entry["package"].lstrip("@").replace("/", "-")
        assert (VENDOR / "licences" / f"{label}.txt").stat().st_size > 200


def test_versions_are_those_of_the_tool() -> None:
    there = {(entry["package"], entry["version"]) for entry in FILES}
    assert there == {(source.package, source.version) for source in SOURCES}
    assert ("htmx.org", "2.0.11") in there


def test_the_sprite_holds_the_icons_in_use() -> None:
    held = re.findall(r'<symbol id="tabler-([a-z0-9-]+)"', (VENDOR / "icons.svg").read_text())
    assert held == icons_in_use()
