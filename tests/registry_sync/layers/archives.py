"""Small layers, made by the standard library: an independent method."""

import gzip
import io
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import orjson

from registry_sync.layers import child, index
from registry_sync.layers.entries import Directory, LayerError
from registry_sync.layers.index import Layer, Limits


def member(
    name: str, content: bytes | None = None, **facts: object
) -> tuple[tarfile.TarInfo, bytes]:
    """A member of an archive: a file where there is content, else what ``type`` says."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
    info.mode = 0o644 if content is not None else 0o755
    for key, value in facts.items():
        setattr(info, key, value)
    info.size = len(content or b"")
    return info, content or b""


def tar(
    members: Iterable[tuple[tarfile.TarInfo, bytes]], *, form: int = tarfile.PAX_FORMAT
) -> bytes:
    """An archive of these members, in this order."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def layer(files: Mapping[str, bytes | None], *, zipped: bool = True) -> bytes:
    """A layer of files and (None) directories."""
    plain = tar(member(name, content) for name, content in files.items())
    return gzip.compress(plain, 1, mtime=0) if zipped else plain


def read(data: bytes, limits: Limits | None = None) -> Layer:
    """Read a layer here, without the process of its own."""
    return index.read(io.BytesIO(data), size=len(data), limits=limits or Limits())


def directories(data: bytes) -> list[Directory]:
    """What a layer's index gives back: through its frames."""
    frames = index.frames(read(data))
    return list(
        index.joined(part for _first, _last, frame in frames for part in index.unpack(frame))
    )


def read_here(
    arguments: Sequence[str], source: BinaryIO, *, check: Callable[[], None], **_terms: object
) -> tuple[dict[str, Any], bytes]:
    """Do what ``run_child`` does without a process, where many layers are read."""
    check()
    target = io.BytesIO()
    try:
        child._index(source, target, int(arguments[1]))
    except (OSError, EOFError, ValueError) as error:
        raise LayerError(f"it is damaged ({type(error).__name__})") from error
    line, _newline, rest = target.getvalue().partition(b"\n")
    return orjson.loads(line), rest
