"""The page on which a tag, an image or a repository is deleted: it says first what goes."""

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.access import require
from accounts.errors import Conflict, NotFound, PreconditionFailed
from accounts.principals import Actor
from portal.web.access import actor_of, page, principal_of, visible_project
from portal.web.repositories import repository_of
from registry_sync import deletion_preview, trash
from registry_sync.deletion_preview import Preview
from registry_sync.models import Repository, TrashEntry


@dataclass(frozen=True, slots=True)
class _Target:
    """What is to be deleted: ``kind`` is tag, artifact or repository."""

    kind: str
    name: str
    preview: Callable[[], Preview]
    delete: Callable[[Actor], TrashEntry]


def _target(repository: Repository, tag: str, digest: str) -> _Target:
    if tag:
        return _Target(
            "tag",
            f"{repository.name}:{tag}",
            lambda: deletion_preview.of_tag(repository, tag),
            lambda actor: trash.delete_tag(repository, tag, actor=actor),
        )
    if digest:
        return _Target(
            "artifact",
            f"{repository.name}@{digest[:19]}",
            lambda: deletion_preview.of_artifact(repository, digest),
            lambda actor: trash.delete_artifact(repository, digest, actor=actor),
        )
    return _Target(
        "repository",
        repository.name,
        lambda: deletion_preview.of_repository(repository),
        lambda actor: trash.delete_repository(repository, actor=actor),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest, project: str, path: str) -> HttpResponse:
    """Say what goes and what stays; delete it where that is confirmed."""
    asked = request.POST if request.method == "POST" else request.GET
    tag, digest = asked.get("tag", "")[:128], asked.get("digest", "")[:71]
    found = visible_project(request, project)
    repository = repository_of(found, path)
    target = _target(repository, tag, digest)
    require(principal_of(request), f"{target.kind}:delete", found)
    refusal = ""
    if request.method == "POST":
        try:
            entry = target.delete(actor_of(request))
        except NotFound as error:
            raise Http404 from error
        except (Conflict, PreconditionFailed) as error:
            refusal = str(error)
        else:
            text = _("%(name)s is in the trash.") % {"name": target.name}
            messages.success(request, text)
            return redirect("projects:trash_entry", found.name, entry.pk)
    context = {
        "section": "projects",
        "project": found,
        "repository": repository,
        "target": target,
        "tag": tag,
        "digest": digest,
        "preview": target.preview(),
        "refusal": refusal,
    }
    return render(request, "trash/delete.html", context, status=409 if refusal else 200)
