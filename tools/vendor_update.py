"""Fetch the third-party front-end files of static/vendor/ and write its VENDOR.toml.

A tool for developers; nothing at install or run time needs it. Run it after changing a version
below, or after using an icon that was not used before::

    python tools/vendor_update.py
"""

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
ICON_USE = re.compile(r"""(?:\{% icon |icon=)["']([a-z0-9-]+)["']""")
_SYMBOL = re.compile(r'<symbol id="tabler-([a-z0-9-]+)".*?</symbol>', re.DOTALL)
# The maps are not shipped, and collectstatic refuses a reference to a file that is not there.
_SOURCE_MAP = re.compile(rb"\n?/\*# sourceMappingURL=[^*]*\*/\s*$")


@dataclass(frozen=True)
class Source:
    """One file of one package: what becomes of it here."""

    package: str
    version: str
    licence: str
    path: str
    target: str
    note: str = ""


SOURCES = (
    Source(
        "@tabler/core",
        "1.6.1",
        "MIT",
        "dist/css/tabler.min.css",
        "tabler.min.css",
        "without the last line, which names a source map",
    ),
    Source("htmx.org", "2.0.11", "0BSD", "dist/htmx.min.js", "htmx.min.js"),
    Source(
        "@tabler/icons-sprite",
        "3.48.0",
        "MIT",
        "dist/tabler-sprite.svg",
        "icons.svg",
        "only the icons in use",
    ),
    Source(
        "@fontsource-variable/inter",
        "5.3.0",
        "OFL-1.1",
        "files/inter-latin-wght-normal.woff2",
        "inter-latin-wght-normal.woff2",
    ),
)
# @tabler/core has no licence file of its own in the package; its sprite, by the same authors and
# under the same licence, has.
_LICENCE_FROM = {"@tabler/core": "@tabler/icons-sprite"}


def icons_in_use() -> list[str]:
    """Return the names of all icons that templates and the navigation ask for."""
    files = [*(ROOT / "templates").rglob("*.html"), ROOT / "portal" / "web" / "navigation.py"]
    texts = (path.read_text() for path in files)
    return sorted({name for text in texts for name in ICON_USE.findall(text)})


def cut_sprite(sprite: str, names: Iterable[str]) -> str:
    """Keep only these icons of a sprite."""
    symbols = {match[1]: match[0] for match in _SYMBOL.finditer(sprite)}
    missing = [name for name in names if name not in symbols]
    if missing:
        raise SystemExit(f"the sprite has no icon {', '.join(missing)}")
    kept = "\n".join(" ".join(symbols[name].split()) for name in names)
    return f'<svg xmlns="http://www.w3.org/2000/svg"><defs>\n{kept}\n</defs></svg>\n'


def _fetch(package: str, version: str, folder: Path) -> tarfile.TarFile:
    done = subprocess.run(
        ["npm", "pack", "--silent", f"{package}@{version}"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return tarfile.open(folder / done.stdout.strip().splitlines()[-1])


def _read(archive: tarfile.TarFile, path: str) -> bytes:
    member = archive.extractfile(f"package/{path}")
    if member is None:
        raise SystemExit(f"the package has no file {path}")
    return member.read()


def _entry(source: Source, content: bytes) -> str:
    lines = [
        "[[file]]",
        f'name = "{source.target}"',
        f'package = "{source.package}"',
        f'version = "{source.version}"',
        f'licence = "{source.licence}"',
        f'source = "{source.path}"',
    ]
    if source.note:
        lines.append(f'note = "{source.note}"')
    lines.append(f'sha256 = "{hashlib.sha256(content).hexdigest()}"')
    return "\n".join(lines)


def main() -> None:
    """Fetch, cut, write."""
    licences = VENDOR / "licences"
    licences.mkdir(parents=True, exist_ok=True)
    entries = []
    with tempfile.TemporaryDirectory() as name:
        archives = {s.package: _fetch(s.package, s.version, Path(name)) for s in SOURCES}
        for source in SOURCES:
            content = _read(archives[source.package], source.path)
            if source.target.endswith(".css"):
                content = _SOURCE_MAP.sub(b"\n", content)
            elif source.target.endswith(".svg"):
                content = cut_sprite(content.decode(), icons_in_use()).encode()
            (VENDOR / source.target).write_bytes(content)
            licence = _read(archives[_LICENCE_FROM.get(source.package, source.package)], "LICENSE")
            label = source.package.lstrip("@").replace("/", "-")
            (licences / f"{label}.txt").write_bytes(licence)
            entries.append(_entry(source, content))
    head = "# Written by tools/vendor_update.py; do not edit by hand."
    (VENDOR / "VENDOR.toml").write_text(head + "\n\n" + "\n\n".join(entries) + "\n")
    sys.stdout.write(f"{len(entries)} files, {len(icons_in_use())} icons\n")


if __name__ == "__main__":
    main()
