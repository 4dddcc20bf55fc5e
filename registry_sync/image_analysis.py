"""Finds out what an image's layers amount to: asked for by each push, done as a job.

The rows of ``ImageAnalysis`` that wait are the queue; one execution works them off, those first
that somebody looks at.
"""

import datetime
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import DatabaseError
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.errors import Unavailable
from accounts.models import OutboxEvent
from registry_sync import layer_indexes
from registry_sync.failpoints import hit
from registry_sync.layers import analysis, index
from registry_sync.leases import LeaseLostError
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    Execution,
    ImageAnalysis,
    LayerIndex,
    State,
)
from registry_sync.models.executions import ACTIVE
from registry_sync.runs import Run, StopRequestedError, WorkerEndsError

logger = logging.getLogger(__name__)

KIND = "layers"
# Either one's change makes results anew.
VERSION = index.VERSION * 1000 + analysis.VERSION
_BATCH = 500
# After an execution that did not succeed.
_PAUSE = datetime.timedelta(minutes=10)
_NOT_THE_IMAGE = (
    LeaseLostError,
    StopRequestedError,
    WorkerEndsError,
    Unavailable,
    DatabaseError,
)


def request(digests: Iterable[str], *, is_urgent: bool = False) -> None:
    """Have images analysed that are not yet; ``is_urgent`` where somebody waits."""
    wanted = sorted(set(digests))
    now = timezone.now()
    ImageAnalysis.objects.bulk_create(
        [ImageAnalysis(digest=each, is_urgent=is_urgent, requested_at=now) for each in wanted],
        ignore_conflicts=True,
    )
    rows = ImageAnalysis.objects.filter(digest__in=wanted)
    rows.exclude(version__in=[0, VERSION]).update(version=0, requested_at=now)
    if is_urgent:
        rows.filter(version=0).update(is_urgent=True)


def on_push(event: OutboxEvent) -> None:
    """Ask for the analysis of what was just pushed, where it is an image."""
    repository_id = int(event.subject.removeprefix("repository:"))
    images = Artifact.objects.live().filter(
        repository_id=repository_id,
        body_id=str(event.payload["digest"]),
        kind=Artifact.Kind.IMAGE,
    )
    request(images.values_list("body_id", flat=True))


def is_due() -> bool:
    """Tell whether an execution should be made: images wait, and the last one did not just fail."""
    if not ImageAnalysis.objects.filter(version=0).exists():
        return False
    recent = Execution.objects.filter(kind=KIND, created_at__gt=timezone.now() - _PAUSE)
    return not recent.filter(state__in=[*ACTIVE, State.FAILED, State.STOPPED]).exists()


def run(run: Run) -> None:
    """Analyse what waits, until nothing does; with ``all`` every image that has none yet."""
    if run.parameters.get("all"):
        run.log(f"asked for {_request_all()} images that had not been read")
    _forget()
    done = 0
    while (row := _next()) is not None:
        waiting = ImageAnalysis.objects.filter(version=0)[:_BATCH].count()
        run.progress(done=done, total=done + waiting, unit="images", message=row.digest)
        try:
            _analyse(run, row)
        except _NOT_THE_IMAGE:
            raise
        except Exception:
            # One image nobody thought of must not keep the others waiting.
            logger.exception("Image %s could not be analysed.", row.digest)
            run.log(f"{row.digest}: could not be analysed; the worker's log tells more")
            _finish(row, {"error": True, "secrets": []}, time.monotonic())
        hit("layers.image")
        done += 1
    run.progress(done=done, total=done, unit="images")
    run.log(f"read {done} images")


def layers_of(artifact: Artifact) -> list[str]:
    """Return an image's layers' digests from the bottom."""
    rows = ArtifactBlob.objects.filter(artifact=artifact, position__gt=0)
    return list(rows.order_by("position").values_list("blob_id", flat=True))


def _next() -> ImageAnalysis | None:
    waiting = ImageAnalysis.objects.filter(version=0)
    return waiting.order_by("-is_urgent", "requested_at", "digest").first()


def _analyse(run: Run, row: ImageAnalysis) -> None:
    artifact = (
        Artifact.objects.live()
        .filter(body_id=row.digest)
        .select_related("repository__project")
        .defer("config")
        .first()
    )
    if artifact is None:
        # Deleted meanwhile; a push or a restore asks again.
        ImageAnalysis.objects.filter(pk=row.pk, version=0).delete()
        return
    began = time.monotonic()
    indexes = []
    for digest in layers_of(artifact):
        run.check()
        indexes.append(
            layer_indexes.ensure(artifact.repository.registry_name, digest, check=run.check)
        )
    result = result_of(indexes)
    for number, layer in enumerate(indexes, start=1):
        if layer.error:
            run.log(f"{artifact}: layer {number} cannot be read: {layer.error}")
    _finish(row, result, began)


def _finish(row: ImageAnalysis, result: dict[str, Any], began: float) -> None:
    ImageAnalysis.objects.filter(pk=row.pk).update(
        version=VERSION,
        is_urgent=False,
        efficiency=result.get("efficiency"),
        wasted_bytes=result.get("wasted"),
        secret_count=len(result["secrets"]),
        result=result,
        took_ms=round((time.monotonic() - began) * 1000),
        finished_at=timezone.now(),
    )


def result_of(indexes: Sequence[LayerIndex]) -> dict[str, Any]:
    """Return the analysis of these layers, from the bottom."""
    result = analysis.analyse(
        [layer_indexes.directories(layer) for layer in indexes],
        [layer.secrets for layer in indexes],
        [layer.packages for layer in indexes],
    )
    for share, layer in zip(result["layers"], indexes, strict=True):
        share |= {"digest": layer.digest, "error": layer.error, **layer.summary}
    return result


def _request_all() -> int:
    """Ask for every live image that has no analysis of this version."""
    done = ImageAnalysis.objects.filter(digest=OuterRef("body_id"), version__in=[0, VERSION])
    images = Artifact.objects.live().filter(kind=Artifact.Kind.IMAGE, is_complete=True)
    missing = images.filter(~Exists(done))
    digests = sorted(set(missing.order_by().values_list("body_id", flat=True)))
    for start in range(0, len(digests), _BATCH):
        request(digests[start : start + _BATCH])
    return len(digests)


def _forget() -> None:
    """Drop a batch of what speaks of images and layers that are gone."""
    users = ArtifactBlob.objects.filter(blob_id=OuterRef("digest"))
    layers = LayerIndex.objects.filter(~Exists(users)).values_list("pk", flat=True)
    LayerIndex.objects.filter(pk__in=list(layers[:_BATCH])).delete()
    artifacts = Artifact.objects.filter(body_id=OuterRef("digest"))
    images = ImageAnalysis.objects.filter(~Exists(artifacts), version__gt=0)
    ImageAnalysis.objects.filter(pk__in=list(images.values_list("pk", flat=True)[:_BATCH])).delete()
