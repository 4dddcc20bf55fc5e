"""What more there is to read of an artifact: a build's history, a chart's values, a model's files.

Everything comes from the manifest, the configuration or one layer, read as a bounded stream;
nothing is ever extracted. Whoever pushed it wrote whatever they liked.
"""

import io
import json
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast

import zstandard

from accounts.errors import BadRequest, NotFound, Unavailable
from registry_sync.artifact_types import type_of
from registry_sync.client.errors import RegistryError
from registry_sync.models import Artifact, ArtifactBlob
from registry_sync.upstream import open_blob

# Bytes of one text that are shown, and of a layer that are read in search of it.
MAX_TEXT = 1024 * 1024
MAX_LAYER = 32 * 1024 * 1024
_MAX_MEMBERS = 10_000
_MAX_FILES = 5_000
_PART_BYTES = 64 * 1024
_UNREADABLE = (
    tarfile.TarError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    zlib.error,
    zstandard.ZstdError,
)

_JSON = "application/json; charset=utf-8"
_MARKDOWN = "text/markdown; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"
_CHART_LAYERS = frozenset(
    {"application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"}
)
_TITLE = "org.opencontainers.image.title"
# The path of a layer of a model, in the specification and in its drafts.
_PATHS = ("org.cncf.model.filepath", "org.cnai.model.filepath", _TITLE)


@dataclass(frozen=True, slots=True)
class Addition:
    """A text about an artifact, with its Content-Type."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer as the manifest describes it."""

    digest: str
    media_type: str
    size: int
    path: str


def names_for(artifact: Artifact) -> tuple[str, ...]:
    """Return which additions this type of artifact can have, by the contract's names."""
    return tuple(_READERS.get(_family(artifact), {}))


def read(artifact: Artifact, name: str) -> Addition:
    """Return an addition.

    Raises ``BadRequest`` where this type of artifact has no such addition, ``NotFound`` where this
    very artifact has none, and ``Unavailable`` while the registry does not answer.
    """
    reader = _READERS.get(_family(artifact), {}).get(name)
    if reader is None:
        raise BadRequest(f"An artifact of type {type_of(artifact)} has no {name}.")
    try:
        return reader(artifact)
    except RegistryError as error:
        raise Unavailable("The registry does not answer; try again.") from error


def _family(artifact: Artifact) -> str:
    if artifact.kind in {Artifact.Kind.IMAGE, Artifact.Kind.INDEX}:
        return artifact.kind
    named = type_of(artifact)
    return named if named in _READERS else "other"


# --- Images ---------------------------------------------------------------------------------------


def _build_history(artifact: Artifact) -> Addition:
    history = artifact.config.get("history")
    entries = [entry for entry in history if isinstance(entry, dict)] if _is_list(history) else []
    return Addition(json.dumps(entries).encode(), _JSON)


# --- Helm charts ----------------------------------------------------------------------------------


def _values(artifact: Artifact) -> Addition:
    return Addition(_from_chart(artifact, "values.yaml"), _PLAIN)


def _chart_readme(artifact: Artifact) -> Addition:
    return Addition(_from_chart(artifact, "readme.md"), _MARKDOWN)


def _dependencies(artifact: Artifact) -> Addition:
    """Charts' own metadata are the configuration (Helm, "Use OCI-based registries")."""
    named = artifact.config.get("dependencies")
    found = [
        {key: str(entry.get(key) or "") for key in ("name", "version", "repository")}
        for entry in (named if _is_list(named) else [])
        if isinstance(entry, dict)
    ]
    return Addition(json.dumps(found).encode(), _JSON)


def _from_chart(artifact: Artifact, name: str) -> bytes:
    layers = [layer for layer in _layers(artifact) if layer.media_type in _CHART_LAYERS]
    if not layers:
        raise NotFound("The chart has no archive.")

    def is_wanted(path: str) -> bool:
        parts = path.removeprefix("./").split("/")
        return len(parts) == 2 and parts[1].lower() == name

    return _from_archive(artifact, layers[0], is_wanted, name)


# --- Models (CNCF ModelPack) and other artifacts --------------------------------------------------


def _model_readme(artifact: Artifact) -> Addition:
    return Addition(_document(artifact, "readme"), _MARKDOWN)


def _license(artifact: Artifact) -> Addition:
    return Addition(_document(artifact, "license"), _PLAIN)


def _document(artifact: Artifact, beginning: str) -> bytes:
    """Return the document whose name begins so: ``README.md``, ``LICENSE``, ``LICENSE.txt``."""

    def is_wanted(path: str) -> bool:
        name = path.rsplit("/", 1)[-1].lower()
        return name == beginning or name.startswith(f"{beginning}.")

    for layer in _layers(artifact):
        if is_wanted(layer.path):
            if ".tar" in layer.media_type:
                return _from_archive(artifact, layer, is_wanted, beginning)
            return _whole(artifact, layer)
    raise NotFound(f"The artifact has no {beginning}.")


def _files(artifact: Artifact) -> Addition:
    """Return the files that the manifest names, as a tree."""
    tree: list[dict[str, Any]] = []
    for layer in _layers(artifact)[:_MAX_FILES]:
        parts = [part for part in layer.path.split("/") if part not in {"", ".", ".."}]
        if parts and len(parts) <= 64:
            _plant(tree, parts, layer.size)
    return Addition(json.dumps(tree).encode(), _JSON)


def _plant(tree: list[dict[str, Any]], parts: list[str], size: int) -> None:
    for part in parts[:-1]:
        found = [node for node in tree if node["name"] == part and "children" in node]
        if not found:
            found = [{"name": part, "type": "directory", "children": []}]
            tree.append(found[0])
        tree = found[0]["children"]
    tree.append({"name": parts[-1], "type": "file", "size": size})


# --- Layers ---------------------------------------------------------------------------------------


def _layers(artifact: Artifact) -> list[_Layer]:
    """Return the layers that are here, with the path that the manifest gives each."""
    try:
        described = json.loads(bytes(artifact.body.content)).get("layers")
    except (ValueError, AttributeError):
        described = None
    paths = [_path(entry) for entry in described] if isinstance(described, list) else []
    blobs = ArtifactBlob.objects.filter(artifact=artifact, position__gt=0).order_by("position")
    return [
        _Layer(
            digest=blob.blob_id,
            media_type=blob.media_type,
            size=blob.size,
            path=paths[blob.position - 1] if blob.position <= len(paths) else "",
        )
        for blob in blobs
    ]


def _path(entry: object) -> str:
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    if not isinstance(annotations, dict):
        return ""
    return next((v for v in map(annotations.get, _PATHS) if isinstance(v, str) and v), "")


def _whole(artifact: Artifact, layer: _Layer) -> bytes:
    with open_blob(artifact.repository.registry_name, layer.digest) as stream:
        content = b"" if stream is None else stream.read(MAX_TEXT + 1)
    if stream is None:
        raise NotFound("Its bytes are not here.")
    if len(content) > MAX_TEXT:
        raise NotFound(f"It is larger than the {MAX_TEXT} bytes that are shown.")
    return content


def _from_archive(
    artifact: Artifact, layer: _Layer, is_wanted: Callable[[str], bool], name: str
) -> bytes:
    """Return the first regular file of a tar whose path is wanted, without extracting anything."""
    with open_blob(artifact.repository.registry_name, layer.digest) as stream:
        if stream is None:
            raise NotFound("Its bytes are not here.")
        try:
            found = _search(_unpacked(_Bounded(stream), layer.media_type), is_wanted)
        except _UNREADABLE as error:
            raise NotFound("Its archive cannot be read.") from error
    if found is None:
        raise NotFound(f"It has no {name}.")
    return found


def _unpacked(stream: "_Readable", media_type: str) -> "_Readable":
    if media_type.endswith("gzip"):
        return _Gunzip(stream)
    if media_type.endswith("zstd"):
        return zstandard.ZstdDecompressor().stream_reader(cast("IO[bytes]", stream))
    return stream


def _search(content: "_Readable", is_wanted: Callable[[str], bool]) -> bytes | None:
    with tarfile.open(fileobj=_Bounded(content), mode="r|") as archive:
        for number, member in enumerate(archive):
            if number >= _MAX_MEMBERS:
                raise ValueError("too many members")
            if member.isreg() and is_wanted(member.name):
                file = archive.extractfile(member)
                if file is None or member.size > MAX_TEXT:
                    raise ValueError("too large to show")
                return file.read(MAX_TEXT)
    return None


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Gunzip:
    """Unpacks the first member of a gzip file; a million empty ones would cost seconds."""

    def __init__(self, source: _Readable) -> None:
        """``source`` is read and never closed."""
        self._source = source
        self._state = zlib.decompressobj(wbits=31)

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, fewer at the end. Raises ``EOFError`` where it is cut off."""
        content = bytearray()
        while len(content) < size and not self._state.eof:
            packed = self._state.unconsumed_tail or self._source.read(_PART_BYTES)
            if not packed:
                raise EOFError("cut off")
            content += self._state.decompress(packed, size - len(content))
        return bytes(content)


class _Bounded(io.RawIOBase):
    """Reads at most ``MAX_LAYER`` bytes: of what is stored, and of what that says it becomes."""

    def __init__(self, source: _Readable) -> None:
        """``source`` is read and never closed."""
        self._source = source
        self._left = MAX_LAYER

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes. Raises ``ValueError`` where there would be too many."""
        if size < 0 or size > self._left:
            size = self._left + 1
        content = self._source.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise ValueError("more than is read of an archive")
        return content


def _is_list(value: object) -> bool:
    return isinstance(value, list)


Reader = Callable[[Artifact], Addition]
# What each family of artifacts can have, by the contract's names.
_READERS: dict[str, dict[str, Reader]] = {
    Artifact.Kind.IMAGE: {"build_history": _build_history},
    "CHART": {
        "values.yaml": _values,
        "readme.md": _chart_readme,
        "dependencies": _dependencies,
    },
    "CNAI": {"readme.md": _model_readme, "license": _license, "files": _files},
    "other": {"files": _files},
}
