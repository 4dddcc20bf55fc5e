"""What pages and API say of an analysed image's files: a directory, a path's way, a search."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from wcmatch import glob

from accounts.errors import BadRequest, Conflict, NotFound, Unavailable
from registry_sync import image_analysis, layer_indexes, upstream
from registry_sync.layers import tree
from registry_sync.layers.entries import DIRECTORY, Entry, LayerError, join, split
from registry_sync.layers.merge import Fate, Merged, Path, walk
from registry_sync.layers.process import run_child
from registry_sync.layers.tree import Row
from registry_sync.models import Artifact, Blob, ImageAnalysis, LayerIndex, Repository

CHANGES = "changes"
UP_TO = "upto"
FINAL = "final"
MODES = (CHANGES, UP_TO, FINAL)
PREVIEW_BYTES = 64 * 1024
_MOST_FOUND = 200
# Images in the trend.
_TREND = 20
_GLOB = glob.GLOBSTAR | glob.DOTGLOB | glob.FORCEUNIX | glob.CASE
# Unpacking for a preview costs a core for seconds: no more than this at once in one process.
_previews = threading.BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class Step:
    """A layer's copy of a path."""

    layer: int
    entry: Entry
    fate: Fate
    by: int


@dataclass(frozen=True, slots=True)
class Found:
    """A path that a search found, in one layer."""

    path: str
    step: Step


def analysed(artifact: Artifact) -> ImageAnalysis | None:
    """Return an image's analysis, or ask for it and return None."""
    row = ImageAnalysis.objects.filter(
        digest=artifact.digest, version=image_analysis.VERSION
    ).first()
    if row is None:
        image_analysis.request([artifact.digest], is_urgent=True)
    return row


def indexes_of(artifact: Artifact) -> list[LayerIndex]:
    """Return the indexes of an image's layers from the bottom. Raises ``Conflict`` without."""
    digests = image_analysis.layers_of(artifact)
    found = layer_indexes.by_digest(digests)
    if found.keys() < set(digests):
        raise Conflict("the image's layers have not been read yet; ask again in a moment")
    return [found[digest] for digest in digests]


def directories(layers: Sequence[LayerIndex], path: str) -> dict[str, Merged]:
    """Return the directories from the root down to a path, through all layers."""
    return tree.merged(layer_indexes.chain(layers, path))


def rows(directory: Merged, *, layer: int, mode: str, count: int) -> list[Row]:
    """Return a directory's lines: a layer's changes, or what is seen up to it, or at the end.

    Raises ``BadRequest`` for another mode.
    """
    if mode == CHANGES:
        return tree.changes(directory, layer)
    if mode == UP_TO:
        return tree.seen(directory, layer)
    if mode == FINAL:
        return tree.seen(directory, count - 1)
    raise BadRequest("the mode is changes, upto or final", field="mode")


def trace(layers: Sequence[LayerIndex], path: str) -> list[Step]:
    """Return every layer's copy of a path, and what became of each."""
    directory, name = split(path)
    merged = directories(layers, directory).get(directory)
    if merged is None:
        return []
    return [
        step for found in merged.paths if found.name == name for step in _steps(found, len(layers))
    ]


def search(layers: Sequence[LayerIndex], pattern: str) -> list[Found]:
    """Return the first 200 copies whose path matches: a glob (``**/*.pem``), or a part of it."""
    is_glob = any(sign in pattern for sign in "*?[")
    if is_glob and "/" not in pattern:
        pattern = f"**/{pattern}"
    found = (
        Found(path, step)
        for path, steps in _all(layers)
        if (glob.globmatch(path, pattern, flags=_GLOB) if is_glob else pattern in path)
        for step in steps
    )
    return list(islice(found, _MOST_FOUND))


def trend(repository: Repository) -> list[tuple[Artifact, ImageAnalysis]]:
    """Return a repository's last images that were read, the oldest first."""
    images = (
        Artifact.objects.live()
        .filter(repository=repository, kind=Artifact.Kind.IMAGE)
        .defer("config", "annotations")
        .prefetch_related("tags")
        .order_by("-pushed_at", "-pk")[:_TREND]
    )
    digests = [image.digest for image in images]
    rows = ImageAnalysis.objects.filter(digest__in=digests, version=image_analysis.VERSION)
    found = {row.digest: row for row in rows.exclude(efficiency=None).defer("result")}
    return [(image, found[image.digest]) for image in reversed(images) if image.digest in found]


def preview(artifact: Artifact, layer: LayerIndex, path: str) -> bytes:
    """Return the beginning of a file in one layer.

    Raises ``NotFound`` where there is no such file, ``Unavailable`` while others look.
    """
    if not _previews.acquire(timeout=2):
        raise Unavailable("others look into layers just now; try again in a moment")
    try:
        size = Blob.objects.filter(digest=layer.digest).values_list("size", flat=True).first()
        with upstream.open_blob(artifact.repository.registry_name, layer.digest) as source:
            if source is None:
                raise NotFound("the layer's bytes are not kept here")
            return _beginning(source, size or 0, path)
    except LayerError as error:
        raise NotFound(str(error)) from error
    finally:
        _previews.release()


def _beginning(source: BinaryIO, size: int, path: str) -> bytes:
    arguments = ["preview", str(size), path, str(PREVIEW_BYTES)]
    _facts, content = run_child(arguments, source, seconds=30)
    return content


def _steps(path: Path, count: int) -> list[Step]:
    steps = []
    for number, version in enumerate(path.versions):
        fate, by = path.fate(number, count - 1)
        steps.append(Step(version.layer, version.entry, fate, by))
    return steps


def _all(layers: Sequence[LayerIndex]) -> Iterator[tuple[str, list[Step]]]:
    streams = [layer_indexes.directories(layer) for layer in layers]
    for merged in walk(streams):
        for path in merged.paths:
            if any(version.entry.type != DIRECTORY for version in path.versions):
                yield join(merged.path, path.name), _steps(path, len(layers))
