"""The page of one image: by its digest, or by a tag that points to it."""

import json
from typing import TypeVar

from django.db.models import Count, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portal.web.access import public_page, visible_project
from portal.web.artifact_actions import offered
from portal.web.commands import Tool, pull_by_digest, pull_by_tag
from portal.web.image_config import believable, run_config, steps
from portal.web.repositories import repository_of
from portal.web.shell import external_host
from portal.web.tag_rows import index_content
from registry_sync import immutability
from registry_sync.accessories import accessories_of
from registry_sync.models import Artifact, ArtifactBlob, ArtifactReference, Repository, Tag

M = TypeVar("M", bound=Model)
_DOCKER = Tool("docker")
# Rows of what is about an artifact that its page shows.
_ACCESSORIES = 50
_TITLE = "org.opencontainers.image.title"


def _first_or_404(rows: "QuerySet[M]") -> M:
    row = rows.first()
    if row is None:
        raise Http404
    return row


def _artifacts(repository: Repository) -> QuerySet[Artifact]:
    """Return what the repository holds, the trash apart, with the manifests' bytes."""
    return Artifact.objects.live().filter(repository=repository).select_related("body")


@require_safe
@public_page
def by_tag(request: HttpRequest, project: str, path: str, tag: str) -> HttpResponse:
    """The image a tag points to now."""
    repository = repository_of(visible_project(request, project), path)
    tags = Tag.objects.filter(repository=repository, name=tag, artifact__trash_entry=None)
    found = _first_or_404(tags.select_related("artifact__body"))
    if found.artifact is None:
        raise Http404
    return _detail(request, repository, found.artifact, found)


@require_safe
@public_page
def by_digest(request: HttpRequest, project: str, path: str, digest: str) -> HttpResponse:
    """An image, whatever tags point to it."""
    repository = repository_of(visible_project(request, project), path)
    artifact = _first_or_404(_artifacts(repository).filter(body_id=digest))
    return _detail(request, repository, artifact, None)


def _detail(
    request: HttpRequest, repository: Repository, artifact: Artifact, tag: Tag | None
) -> HttpResponse:
    artifact.repository = repository
    tags = list(artifact.tags.all())
    subject = None
    if artifact.subject_digest:
        subject = _artifacts(repository).filter(body_id=artifact.subject_digest).first()
    accessories = accessories_of(repository, artifact.digest)
    context: dict[str, object] = {
        "section": "projects",
        "project": repository.project,
        "repository": repository,
        "artifact": artifact,
        "tag": tag,
        "tags": tags,
        "held": immutability.held_among(repository, [each.name for each in tags]),
        "manifest": _pretty(bytes(artifact.body.content)),
        "subject": subject,
        "accessories": accessories[:_ACCESSORIES],
        "is_signed": any(accessory.is_signature for accessory in accessories),
        "built_at": believable(artifact.built_at),
        "pull_size": artifact.size,
        "by_digest": pull_by_digest(
            _DOCKER, name=repository.name, digest=artifact.digest, kind=artifact.kind
        ),
    }
    context |= offered(request, artifact)
    named = tag or (tags[0] if tags else None)
    if named is not None:
        context["by_tag"] = pull_by_tag(
            _DOCKER,
            name=repository.name,
            tag=named.name,
            kind=artifact.kind,
            artifact_type=artifact.artifact_type,
        )
    if artifact.kind == Artifact.Kind.INDEX:
        context |= _index(artifact)
    else:
        context |= _image(repository, artifact, named)
    return render(request, "artifacts/detail.html", context)


def _index(artifact: Artifact) -> dict[str, object]:
    """What the page of a multi-platform image adds: its platforms."""
    references = artifact.references.select_related("child").defer(
        "child__config", "child__annotations"
    )
    content = index_content(references)
    size = content.pull_size
    layer_counts = dict(
        ArtifactBlob.objects.filter(
            artifact_id__in=[platform.artifact_id for platform in content.platforms],
            position__gt=0,
        )
        .order_by()
        .values_list("artifact_id")
        .annotate(n=Count("pk"))
    )
    return {
        "content": content,
        "layer_counts": layer_counts,
        "pull_size": artifact.size if size is None else size,
    }


def _image(repository: Repository, artifact: Artifact, named: Tag | None) -> dict[str, object]:
    """What the page of an image adds: how it runs, what it is made of, what it belongs to."""
    blobs = list(artifact.blobs.all())
    layers = [blob for blob in blobs if blob.position > 0]
    sharing = dict(
        ArtifactBlob.objects.filter(
            artifact__repository=repository,
            artifact__trash_entry=None,
            position__gt=0,
            blob_id__in={layer.blob_id for layer in layers},
        )
        .exclude(artifact=artifact)
        .order_by()
        .values_list("blob_id")
        .annotate(n=Count("artifact_id", distinct=True))
    )
    reference = f"{external_host()}/{repository.name}"
    reference += f":{named.name}" if named else f"@{artifact.digest}"
    run = run_config(artifact.config)
    parents = ArtifactReference.objects.filter(child=artifact, parent__trash_entry=None)
    return {
        "layers": layers,
        "files": _files(artifact, layers),
        "steps": steps(artifact.config, layers)[::-1],
        "sharing": sharing,
        "run": run,
        "run_command": run.docker_run(reference),
        "parents": parents.select_related("parent")
        .defer("parent__config", "parent__annotations")
        .prefetch_related("parent__tags"),
    }


def _files(artifact: Artifact, layers: list[ArtifactBlob]) -> list[tuple[str, ArtifactBlob]]:
    """Pair what is no image's layer, a chart's archive or a signature, with its file name."""
    if artifact.kind != Artifact.Kind.OTHER:
        return []
    try:
        described = json.loads(bytes(artifact.body.content)).get("layers") or []
    except (ValueError, AttributeError):
        described = []
    titles = {place: _title(layer) for place, layer in enumerate(described, start=1)}
    return [(titles.get(layer.position, ""), layer) for layer in layers]


def _title(layer: object) -> str:
    annotations = layer.get("annotations") if isinstance(layer, dict) else None
    title = annotations.get(_TITLE) if isinstance(annotations, dict) else None
    return title if isinstance(title, str) else ""


def _pretty(content: bytes) -> str:
    """The manifest, indented; as it is, where it cannot be read."""
    text = content.decode(errors="replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
