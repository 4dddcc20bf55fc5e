"""Indexes: frames, directories' sums, packages and secrets."""

import sqlite3
import struct
from pathlib import Path

import pytest

from registry_sync.layers import index, secrets
from registry_sync.layers.entries import DIRECTORY, WHITEOUT, Flag
from registry_sync.layers.packages import Package, reader_of
from tests.registry_sync.layers.archives import directories, layer, member, read, tar

KEY = b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"


def test_parents_that_are_only_implied_and_sums() -> None:
    found = {each.path: each for each in directories(layer({"a/b/c": b"123", "a/d": b"4"}))}
    root = found[""].entries[0]
    assert (root.name, root.type, root.size, root.flags) == ("a", DIRECTORY, 4, Flag.IMPLIED)
    assert [(entry.name, entry.size) for entry in found["a"].entries] == [("b", 3), ("d", 1)]


def test_the_last_of_two_members_wins() -> None:
    data = tar([member("./a", b"first"), member("/a", b"2")])
    assert [entry.size for entry in directories(data)[0].entries] == [1]


def test_a_deleted_name_and_the_same_name_again() -> None:
    found = directories(tar([member(".wh.a", b""), member("a", b"1")]))[0].entries
    assert sorted((entry.name, entry.type) for entry in found) == [("a", "f"), ("a", WHITEOUT)]


def test_large_directories_lie_in_several_frames() -> None:
    files = {f"big/{number:05}": b"" for number in range(2500)} | {"small/x": b""}
    made = read(layer(files))
    frames = list(index.frames(made))
    table = [[first, last] for first, last, _data in frames]
    assert len(frames) > 2
    numbers = index.frames_of(table, "big")
    found = [
        entry
        for n in numbers
        for each in index.unpack(frames[n][2])
        for entry in each.entries
        if each.path == "big"
    ]
    assert len(found) == 2500
    assert len(index.frames_of(table, "small")) == 1
    assert len(index.frames_of(table, "nowhere/at/all")) <= 1
    assert {each.path: len(each.entries) for each in directories(layer(files))}["big"] == 2500


def test_packages() -> None:
    status = (
        b"Package: curl\nStatus: install ok installed\nVersion: 7.88\n\n"
        b"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    data = layer(
        {
            "var/lib/dpkg/status": status,
            "lib/apk/db/installed": b"P:musl\nV:1.2.4\n\nP:zlib\nV:1.3\n",
            "usr/lib/six.dist-info/METADATA": b"Name: six\nVersion: 1.16\n\nName: no\n",
            "app/node_modules/@a/b/package.json": b'{"name": "@a/b", "version": "2"}',
            "app/node_modules/x/lib/package.json": b"{}",
            "app/node_modules/broken/package.json": b"{",
        }
    )
    found = {package for each in read(data).packages.values() for package in each}
    assert found == {
        Package("deb", "curl", "7.88"),
        Package("apk", "musl", "1.2.4"),
        Package("apk", "zlib", "1.3"),
        Package("python", "six", "1.16"),
        Package("node", "@a/b", "2"),
    }


def rpm_header(**tags: str) -> bytes:
    """A header blob as rpm's database has it."""
    numbers = {"name": 1000, "version": 1001, "release": 1002}
    store, entries = b"", b""
    for key, value in tags.items():
        entries += struct.pack(">IIiI", numbers[key], 6, len(store), 1)
        store += value.encode() + b"\0"
    return struct.pack(">II", len(tags), len(store)) + entries + store


def test_rpm(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "db")
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    blobs = [
        rpm_header(name="bash", version="5.1", release="6.el9"),
        rpm_header(name="gpg-pubkey", version="1", release="2"),
        b"\xff" * 7,
        struct.pack(">II", 1 << 30, 0),
    ]
    database.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in blobs])
    database.commit()
    database.close()
    reader = reader_of("var/lib/rpm/rpmdb.sqlite")
    assert reader is not None
    assert list(reader((tmp_path / "db").read_bytes())) == [Package("rpm", "bash", "5.1-6.el9")]
    assert list(reader(b"SQLite format 3\0 not really")) == []


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("root/.ssh/id_rsa", KEY, "private key"),
        ("app/server.pem", b"  \n" + KEY, "private key"),
        ("root/.docker/config.json", b'{"auths":{"x":{"auth":"dXNlcjpwYXNz"}}}', "login"),
        ("root/.netrc", b"machine x login y password z", "password"),
        ("app/.env", b"AWS=AKIAABCDEFGHIJKLMNOP\n", "access token"),
        ("root/.npmrc", b"//r/:_authToken=abcdefghijkl", "token"),
        ("root/.git-credentials", b"https://me:secret@example.com", "password"),
        ("etc/ssl/certs/ca.pem", b"-----BEGIN CERTIFICATE-----", ""),
        ("usr/lib/python3/test/keycert.pem", KEY, ""),
        ("app/main.py", b"marker = '-----BEGIN PRIVATE KEY-----'", ""),
        ("root/.npmrc", b"registry=https://r/", ""),
    ],
)
def test_secrets(path: str, content: bytes, kind: str) -> None:
    assert secrets.kind_of(path, content) == kind
    assert read(layer({path: content})).secrets == ({path: kind} if kind else {})
