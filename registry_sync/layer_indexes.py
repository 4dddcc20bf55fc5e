"""Layers' indexes as rows: read from a blob once, given back by directory."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from django.db import IntegrityError, transaction

from accounts.errors import Unavailable
from registry_sync import upstream
from registry_sync.layers import index
from registry_sync.layers.entries import Directory, LayerError, ancestors
from registry_sync.layers.process import run_child
from registry_sync.models import Blob, LayerFrame, LayerIndex
from registry_sync.texts import storable

# Frames to a transaction, and to a query: about a megabyte.
_BATCH = 40


def ensure(registry_name: str, digest: str, *, check: Callable[[], None]) -> LayerIndex:
    """Return a layer's index, made where it is missing or of an older version.

    A layer that cannot be read has an index that says why. ``check`` may raise to end it.
    Raises ``Unavailable`` where the bytes cannot be had now.
    """
    found = LayerIndex.objects.filter(digest=digest, version=index.VERSION).first()
    if found is not None:
        return found
    began = time.monotonic()
    row = LayerIndex(digest=digest)
    frames: list[bytes] = []
    try:
        frames = _read(registry_name, row, check)
    except LayerError as error:
        row.error = storable(str(error))[:1024]
    row.took_ms = round((time.monotonic() - began) * 1000)
    _save(row, frames)
    return row


def directories(layer: LayerIndex) -> Iterator[Directory]:
    """Yield every directory of a layer, in order; few frames are in memory at once."""
    return index.joined(part for frame in _frames(layer) for part in index.unpack(frame))


def chain(layers: Sequence[LayerIndex], path: str) -> list[list[Directory]]:
    """Return, of each layer, the directories from the root down to a path that it has."""
    wanted = ancestors(path)
    return [_chain(layer, wanted) for layer in layers]


def by_digest(digests: Sequence[str]) -> dict[str, LayerIndex]:
    """Return the indexes that are ready, by digest."""
    rows = LayerIndex.objects.filter(digest__in=digests, version=index.VERSION)
    return {row.digest: row for row in rows}


def _read(registry_name: str, row: LayerIndex, check: Callable[[], None]) -> list[bytes]:
    """Fill the row, and return its frames."""
    size = Blob.objects.filter(digest=row.digest).values_list("size", flat=True).first() or 0
    with upstream.open_blob(registry_name, row.digest) as source:
        if source is None:
            raise LayerError("its bytes are not kept here")
        try:
            facts, data = run_child(["index", str(size)], source, check=check)
        except OSError as error:
            raise Unavailable("the layer's bytes could not be read") from error
    row.summary, row.secrets = facts["summary"], facts["secrets"]
    row.packages, row.table = facts["packages"], facts["table"]
    frames, at = [], 0
    for length in facts["frames"]:
        frames.append(data[at : at + length])
        at += length
    return frames


def _save(row: LayerIndex, frames: list[bytes]) -> None:
    """Write index and frames in one: a reader sees a whole index or none."""
    row.version = index.VERSION
    try:
        with transaction.atomic():
            LayerIndex.objects.filter(pk=row.pk).delete()
            row.save(force_insert=True)
            for start in range(0, len(frames), _BATCH):
                batch = enumerate(frames[start : start + _BATCH], start=start)
                LayerFrame.objects.bulk_create(
                    [LayerFrame(layer=row, position=number, data=data) for number, data in batch]
                )
    except IntegrityError:
        # Somebody else read the same layer meanwhile: both read the same.
        if not LayerIndex.objects.filter(pk=row.pk, version=index.VERSION).exists():
            raise


def _frames(layer: LayerIndex) -> Iterator[bytes]:
    for start in range(0, len(layer.table), _BATCH):
        rows = LayerFrame.objects.filter(
            layer=layer, position__gte=start, position__lt=start + _BATCH
        )
        for data in rows.order_by("position").values_list("data", flat=True):
            yield bytes(data)


def _chain(layer: LayerIndex, wanted: list[str]) -> list[Directory]:
    positions = sorted({n for path in wanted for n in index.frames_of(layer.table, path)})
    parts = (part for n in positions for part in _unpacked(layer.digest, n, layer.version))
    names = set(wanted)
    return list(index.joined(part for part in parts if part.path in names))


@lru_cache(maxsize=256)
def _unpacked(digest: str, position: int, version: int) -> tuple[Directory, ...]:
    """Return a frame's directories; its digest and version are all that it depends on."""
    rows = LayerFrame.objects.filter(layer_id=digest, position=position)
    data = rows.values_list("data", flat=True).first()
    return tuple(index.unpack(bytes(data))) if data is not None else ()
