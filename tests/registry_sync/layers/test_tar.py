"""The stream reader beside the standard library's, and against damaged and hostile archives."""

import gzip
import io
import itertools
import tarfile

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_sync.layers import tar as reading
from registry_sync.layers.compression import unpacked
from registry_sync.layers.entries import LayerError
from registry_sync.layers.tar import TarReader
from tests.registry_sync.layers.archives import member, tar

FORMS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
BIG = 1 << 40


def ours(data: bytes) -> list[tuple[str, str, int, bytes]]:
    """Name, link, time and content of every member."""
    reader = TarReader(io.BytesIO(data), max_bytes=BIG)
    return [
        (found.name.rstrip("/"), found.link, found.mtime, b"".join(reader.content()))
        for found in reader.members()
    ]


def theirs(data: bytes) -> list[tuple[str, str, int, bytes]]:
    """The same by tarfile."""
    rows = []
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for info in archive:
            file = archive.extractfile(info) if info.isreg() else None
            rows.append(
                (
                    info.name.rstrip("/"),
                    info.linkname,
                    int(info.mtime),
                    file.read() if file else b"",
                )
            )
    return rows


names = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=150).filter(
    lambda name: name.strip("/")
)


@pytest.mark.parametrize("form", FORMS[1:])
@settings(max_examples=60, deadline=None)
@given(
    files=st.lists(st.tuples(names, st.binary(max_size=1500), st.integers(0, 2**33)), max_size=8)
)
def test_reads_what_tarfile_reads(form: int, files: list[tuple[str, bytes, int]]) -> None:
    data = tar(
        (member(name.strip("/"), content, mtime=mtime) for name, content, mtime in files), form=form
    )
    assert ours(data) == theirs(data)


@pytest.mark.parametrize("form", FORMS)
def test_links_devices_and_long_prefixes(form: int) -> None:
    name = "/".join(["a" * 30] * 5)
    data = tar(
        [
            member("link", type=tarfile.SYMTYPE, linkname="../target"),
            member("hard", type=tarfile.LNKTYPE, linkname="file"),
            member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
            member("pipe", type=tarfile.FIFOTYPE),
            member(name, b"deep"),
        ],
        form=form,
    )
    assert ours(data) == theirs(data)


def test_large_numbers_and_foreign_names() -> None:
    info, content = member("x", b"y", uid=1 << 40)
    data = tar([(info, content)], form=tarfile.GNU_FORMAT)
    reader = TarReader(io.BytesIO(data), max_bytes=BIG)
    assert next(reader.members()).uid == 1 << 40
    damaged = bytearray(tar([member("caf\xe9", b"")], form=tarfile.USTAR_FORMAT))
    assert ours(bytes(damaged))[0][0] == "café"
    latin = tarfile.TarInfo("caf\udce9")
    assert ours(latin.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape"))[0][0] == "caf\\xe9"


def test_sparse_files_are_as_large_as_they_are_stored() -> None:
    info, content = member("disk", b"z" * 600)
    info.pax_headers = {"GNU.sparse.size": str(1 << 50), "GNU.sparse.map": "0,600"}
    reader = TarReader(io.BytesIO(tar([(info, content)])), max_bytes=BIG)
    found = next(reader.members())
    assert (found.size, found.is_sparse) == (600, True)


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress, zstandard.compress])
def test_compressions(pack: object) -> None:
    data = tar([member("a", b"hello")])
    stream = unpacked(io.BytesIO(pack(data)))  # type: ignore[operator]
    found = [each.name for each in TarReader(stream, max_bytes=BIG).members()]
    assert found == ["a"]


def test_two_gzip_members_are_one_stream() -> None:
    data = tar([member("a", b"1" * 3000), member("b", b"2")])
    packed = gzip.compress(data[:1024]) + gzip.compress(data[1024:])
    stream = unpacked(io.BytesIO(packed))
    assert [each.name for each in TarReader(stream, max_bytes=BIG).members()] == ["a", "b"]


def header(**changes: bytes) -> bytes:
    """A file's header with fields overwritten and the checksum made right."""
    fields = {"name": (0, 100), "size": (124, 12), "mode": (100, 8), "type": (156, 1)}
    block = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
    for key, value in changes.items():
        start, length = fields[key]
        block[start : start + length] = value.ljust(length, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no archive at all".ljust(512, b"."), "no tar archive"),
        (header(size=b"\xff" * 12), "negative"),
        (header(size=b"-0000000777"), "number that is none"),
        (header(size=b"9z"), "number that is none"),
        (header(size=b"77777777777"), "ends within a file"),
        (header(size=b"1000", type=b"x"), "ends within a file"),
        (header(size=b"77777777", type=b"x"), "larger than 1 MiB"),
        (header(size=b"77777777777", type=b"L"), "larger than 1 MiB"),
        (header()[:300], "no tar archive"),
        (header() + header()[:300], "ends within a header"),
        (header() + b"\1" * 512, "damaged"),
    ],
)
def test_damaged_and_hostile_archives(data: bytes, reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        list(TarReader(io.BytesIO(data), max_bytes=BIG).members())


@pytest.mark.parametrize(
    "record",
    [b"9999 path=x\n", b"path=x\n", b"1 a\n", b"0 a=b\n", b"-3 a=b\n", b"7 a b\n", b"\0" * 9],
)
def test_damaged_extended_headers(record: bytes) -> None:
    size = b"%o" % len(record)
    data = header(size=size, type=b"x") + record.ljust(512, b"\0") + header() + bytes(1024)
    with pytest.raises(LayerError, match="extended header is damaged"):
        list(TarReader(io.BytesIO(data), max_bytes=BIG).members())


@pytest.mark.parametrize("size", ["-1", "1e9", "٣", "9" * 30])
def test_extended_sizes_that_are_none(size: str) -> None:
    info, content = member("x", b"")
    info.pax_headers = {"size": size}
    with pytest.raises(LayerError, match="size that is none"):
        list(TarReader(io.BytesIO(tar([(info, content)])), max_bytes=BIG).members())


def test_a_path_longer_than_linux_has() -> None:
    with pytest.raises(LayerError, match="longer than 4096"):
        list(TarReader(io.BytesIO(tar([member("a/" * 2100, b"")])), max_bytes=BIG).members())


def test_an_endless_stream_ends() -> None:
    class Endless:
        def read(self, size: int, /) -> bytes:
            return (header() * (size // 512 + 1))[:size]

    reader = TarReader(Endless(), max_bytes=10_000_000)
    with pytest.raises(LayerError, match="unpacked it is larger"):
        for _member in itertools.islice(reader.members(), 100_000):
            pass


def test_content_of_each_size_around_a_block() -> None:
    for size in (0, 1, 511, 512, 513, reading._CHUNK, reading._CHUNK + 1):
        data = tar([member("a", b"q" * size), member("b", b"end")])
        reader = TarReader(io.BytesIO(data), max_bytes=BIG)
        found = [(each.name, len(b"".join(reader.content()))) for each in reader.members()]
        assert found == [("a", size), ("b", 3)]
