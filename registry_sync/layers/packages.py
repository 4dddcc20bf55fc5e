"""Reads the package databases of distributions and languages, from bytes alone."""

import json
import re
import sqlite3
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

MAX_DATABASE = 64 * 1024 * 1024
_MAX_FIELD = 256


class Package(NamedTuple):
    """What is installed."""

    ecosystem: str
    name: str
    version: str


def reader_of(path: str) -> Callable[[bytes], Iterator[Package]] | None:
    """Return what reads this file, where it is a package database."""
    for pattern, reader in _READERS:
        if pattern.search(path):
            return reader
    return None


def _stanzas(data: bytes) -> Iterator[dict[str, str]]:
    for block in data.decode(errors="replace").split("\n\n"):
        fields = {}
        for line in block.splitlines():
            key, colon, value = line.partition(":")
            if colon and not line[0].isspace():
                fields[key] = value.strip()[:_MAX_FIELD]
        if fields:
            yield fields


def _dpkg(data: bytes) -> Iterator[Package]:
    """Debian's ``status``; what is only configured is not installed."""
    for fields in _stanzas(data):
        is_installed = fields.get("Status", "x installed").endswith(" installed")
        if is_installed and {"Package", "Version"} <= fields.keys():
            yield Package("deb", fields["Package"], fields["Version"])


def _apk(data: bytes) -> Iterator[Package]:
    for fields in _stanzas(data):
        if {"P", "V"} <= fields.keys():
            yield Package("apk", fields["P"], fields["V"])


def _python(data: bytes) -> Iterator[Package]:
    fields = next(_stanzas(data), {})
    if {"Name", "Version"} <= fields.keys():
        yield Package("python", fields["Name"], fields["Version"])


def _node(data: bytes) -> Iterator[Package]:
    try:
        found = json.loads(data)
    except ValueError:
        return
    name, version = (
        (found.get("name"), found.get("version")) if isinstance(found, dict) else (None, None)
    )
    if isinstance(name, str) and isinstance(version, str):
        yield Package("node", name[:_MAX_FIELD], version[:_MAX_FIELD])


def _rpm(data: bytes) -> Iterator[Package]:
    """``rpmdb.sqlite``: one header blob for each package."""
    database = sqlite3.connect(":memory:")
    try:
        database.deserialize(data)
        for (blob,) in database.execute("SELECT blob FROM Packages"):
            tags = _rpm_tags(blob) if isinstance(blob, bytes) else {}
            if {1000, 1001, 1002} <= tags.keys() and tags[1000] != "gpg-pubkey":
                yield Package("rpm", tags[1000], f"{tags[1001]}-{tags[1002]}")
    except sqlite3.Error:
        return
    finally:
        database.close()


def _rpm_tags(blob: bytes) -> dict[int, str]:
    """Return name (1000), version (1001) and release (1002) of a header (rpm, "Header format")."""
    if len(blob) < 8:
        return {}
    count = struct.unpack(">I", blob[:4])[0]
    store = 8 + 16 * count
    if store > len(blob):
        return {}
    tags = {}
    for number in range(count):
        tag, kind, offset, _n = struct.unpack(">IIiI", blob[8 + 16 * number : 24 + 16 * number])
        # 6: a string, ended by NUL.
        if kind == 6 and tag in (1000, 1001, 1002) and 0 <= offset < len(blob) - store:
            text = blob[store + offset : store + offset + _MAX_FIELD]
            tags[tag] = text.split(b"\0", 1)[0].decode(errors="replace")
    return tags


_READERS = (
    (re.compile(r"^var/lib/dpkg/status$|^var/lib/dpkg/status\.d/[^/]+(?<!\.md5sums)$"), _dpkg),
    (re.compile(r"^lib/apk/db/installed$|^usr/lib/apk/db/installed$"), _apk),
    (re.compile(r"(?:^|/)(?:usr/lib/sysimage|var/lib)/rpm/rpmdb\.sqlite$"), _rpm),
    (re.compile(r"(?:\.dist-info/METADATA|\.egg-info/PKG-INFO)$"), _python),
    (re.compile(r"(?:^|/)node_modules/(?:@[^/]+/)?[^/]+/package\.json$"), _node),
)
