"""The reading process: hostile layers end within their limits and touch nothing outside."""

import gzip
import io
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from registry_sync.layers.entries import Flag, LayerError
from registry_sync.layers.index import Limits, unpack
from registry_sync.layers.process import run_child
from tests.registry_sync.layers.archives import layer, member, read, tar


def indexed(data: bytes) -> dict[str, object]:
    """What the process says of a layer."""
    facts, _frames = run_child(["index", str(len(data))], io.BytesIO(data))
    return facts


def test_a_layer_becomes_frames() -> None:
    data = layer({"etc/passwd": b"root", "tmp": None})
    facts, frames = run_child(["index", str(len(data))], io.BytesIO(data))
    assert facts["summary"]["files"] == 1
    assert facts["table"] == [["", "etc"]]
    found = unpack(frames)
    assert [(each.path, [entry.name for entry in each.entries]) for each in found] == [
        ("", ["etc", "tmp"]),
        ("etc", ["passwd"]),
    ]


def test_the_beginning_of_one_file() -> None:
    data = layer({"./a/b": b"0123456789", "a/c": b"other"})
    facts, content = run_child(["preview", str(len(data)), "a/b", "4"], io.BytesIO(data))
    assert (facts["size"], content) == (4, b"0123")
    with pytest.raises(LayerError, match="no such file"):
        run_child(["preview", str(len(data)), "../a/b", "4"], io.BytesIO(data))


def test_a_bomb_of_zeros() -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        info = tarfile.TarInfo("zeros")
        info.size = 400 * 1024 * 1024
        file.write(info.tobuf())
        for _megabyte in range(400):
            file.write(bytes(1 << 20))
    with pytest.raises(LayerError, match="unpacked it is larger"):
        indexed(packed.getvalue())


def test_many_entries_and_long_names() -> None:
    limits = Limits(entries=100)
    with pytest.raises(LayerError, match="more than 100 entries"):
        read(tar(member(f"f{n}", b"") for n in range(101)), limits)
    with pytest.raises(LayerError, match="names are too long"):
        read(tar(member(f"{n}" * 200, b"") for n in range(9)), Limits(text_bytes=1000))


def test_names_that_leave_the_root_are_kept_as_written_and_resolved_nowhere(
    tmp_path: Path,
) -> None:
    target = tmp_path / "written"
    data = tar(
        [
            member(f"../../../../../../{target}", b"gotcha"),
            member(str(target), b"gotcha"),
            member("link", type=tarfile.SYMTYPE, linkname=str(tmp_path)),
            member("link/through", b"gotcha"),
            member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        ]
    )
    assert indexed(data)["summary"]["outside"] == 1  # type: ignore[index]
    assert not target.exists()
    assert list(tmp_path.iterdir()) == []
    entries = [entry for each in read(data).directories.values() for entry in each.values()]
    assert sum(bool(entry.flags & Flag.OUTSIDE) for entry in entries) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no tar archive|ends within|memory or time"),
        (b"\x1f\x8b\x08\0 no gzip", "damaged"),
        (b"\x28\xb5\x2f\xfd no zstd", "damaged"),
        (b"\xfd7zXZ\0", "compressed with xz"),
        (b"BZh91AY", "compressed with bzip2"),
        (b"<html>no layer</html>" * 30, "no tar archive"),
        (gzip.compress(tar([member("a", b"1" * 9999)]), mtime=0)[:-60], "damaged|ends within"),
    ],
    ids=["nothing", "gzip", "zstd", "xz", "bzip2", "html", "cut"],
)
def test_what_is_no_layer(data: bytes, reason: str) -> None:
    if not data:
        assert indexed(data)["summary"]["entries"] == 0  # type: ignore[index]
        return
    with pytest.raises(LayerError, match=reason):
        indexed(data)


def test_it_is_ended_after_its_time() -> None:
    class Slow(io.RawIOBase):
        """A stream that gives a byte now and then."""

        def read(self, _size: int = -1) -> bytes:
            time.sleep(0.05)
            return b"."

    with pytest.raises(LayerError, match="longer than it may"):
        run_child(["index", "0"], Slow(), seconds=0.5)  # type: ignore[arg-type]


def test_a_caller_can_end_it() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        run_child(["index", "0"], Endless(), check=stop)  # type: ignore[arg-type]


def test_a_child_that_dies_is_a_layer_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        children.append(real(*args, **kwargs))
        return children[0]

    class Deadly(io.RawIOBase):
        """Kills the reader instead of giving bytes."""

        def read(self, _size: int = -1) -> bytes:
            children[0].kill()
            return b""

    monkeypatch.setattr("registry_sync.layers.process.subprocess.Popen", popen)
    with pytest.raises(LayerError, match="more memory or time"):
        run_child(["index", "0"], Deadly())  # type: ignore[arg-type]


def test_a_source_that_breaks_off_is_not_the_layers_fault() -> None:
    class Broken(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:
            raise OSError("the registry broke off")

    with pytest.raises(OSError, match="broke off"):
        run_child(["index", "0"], Broken())  # type: ignore[arg-type]


def test_the_child_gets_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOORAGE_SECRET", "x")
    seen: list[dict[str, str]] = []
    real = subprocess.Popen

    def popen(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        seen.append(kwargs["env"])
        return real(*args, **kwargs)

    monkeypatch.setattr("registry_sync.layers.process.subprocess.Popen", popen)
    indexed(layer({"a": b""}))
    assert set(seen[0]) == {"PATH", "PYTHONDONTWRITEBYTECODE"}
