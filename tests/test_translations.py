"""Both Chinese catalogues are complete, correct and up to date."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest
from django.conf import settings

LOCALES = ("zh_Hant", "zh_Hans")
PLACEHOLDER = re.compile(r"%\([a-z_]+\)[sd]|%[sd]|\{[a-z_]*\}")
TAG = re.compile(r"</?[a-z]+[^>]*>")
EXTRACT = ("makemessages", "--no-wrap", "--add-location", "file", "-v0", "-l")
IGNORED = (".venv", "var", "tests")


def catalogue(locale: str) -> polib.POFile:
    """Read a catalogue of the repository."""
    path = settings.BASE_DIR / "locale" / locale / "LC_MESSAGES" / "django.po"
    return polib.pofile(str(path))


def translations(entry: polib.POEntry) -> list[str]:
    """Return every form of a translation."""
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


@pytest.mark.parametrize("locale", LOCALES)
def test_nothing_is_missing_or_doubtful(locale: str) -> None:
    found = catalogue(locale)
    assert [entry.msgid for entry in found.untranslated_entries()] == []
    assert [entry.msgid for entry in found.fuzzy_entries()] == []
    assert [entry.msgid for entry in found.obsolete_entries()] == []


@pytest.mark.parametrize("locale", LOCALES)
def test_placeholders_and_markup_are_kept(locale: str) -> None:
    for entry in catalogue(locale):
        source = entry.msgid_plural or entry.msgid
        for text in translations(entry):
            assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(source)), source
            assert sorted(TAG.findall(text)) == sorted(TAG.findall(source)), source


def test_traditional_and_simplified_are_two_translations() -> None:
    simplified = {e.msgid: translations(e) for e in catalogue("zh_Hans")}
    traditional = "".join(t for e in catalogue("zh_Hant") for t in translations(e))
    assert not set(traditional) & set("镜仓库标签项层览录页时专这")
    assert "".join(t for texts in simplified.values() for t in texts).count("镜像") > 5
    assert "映象" in traditional
    assert "聯合檔案系統" in traditional


def test_extracting_again_finds_nothing_new(tmp_path: Path) -> None:
    assert shutil.which("xgettext"), "install gettext: apt-get install gettext"
    root = settings.BASE_DIR
    for name in ("accounts", "portal", "registry_sync", "templates"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "locale", tmp_path / "locale")
    shutil.copy(root / "manage.py", tmp_path)
    ignored = [word for name in IGNORED for word in ("--ignore", name)]
    for locale in LOCALES:
        command = [sys.executable, "manage.py", *EXTRACT, locale, *ignored]
        subprocess.run(command, cwd=tmp_path, check=True, env={"PATH": _path()})
        fresh = polib.pofile(str(tmp_path / "locale" / locale / "LC_MESSAGES" / "django.po"))
        wanted, there = _keys(fresh), _keys(catalogue(locale))
        assert wanted - there == set(), "new texts: run make translations and translate them"
        assert there - wanted == set(), "texts that nothing uses: run make translations"


def _keys(found: polib.POFile) -> set[tuple[str | None, str, str]]:
    return {(e.msgctxt, e.msgid, e.msgid_plural) for e in found if not e.obsolete}


def _path() -> str:
    found = shutil.which("xgettext")
    return f"{Path(found or '').parent}:/usr/bin:/bin"
