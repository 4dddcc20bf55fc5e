"""What people do to one image: copy it elsewhere, give it a tag, put labels on it."""

from django import forms
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import can, projects_where, require, rights
from accounts.errors import BadRequest, Conflict, DomainError, NotFound
from accounts.models import Project
from portal.web.access import actor_of, page, principal_of, visible_project
from portal.web.repositories import repository_of
from registry_sync import copying, in_use, labels
from registry_sync.models import Artifact, Label

# Names of projects that the destination's field suggests.
_SUGGESTIONS = 100
_TEXT = {
    "class": "form-control",
    "autocomplete": "off",
    "autocapitalize": "none",
    "spellcheck": "false",
}


class CopyForm(forms.Form):
    """Where an image is copied to."""

    destination = forms.CharField(
        label=gettext_lazy("Copy to"),
        max_length=255,
        help_text=gettext_lazy("A repository of this registry, with its project: team/app."),
        widget=forms.TextInput(attrs=_TEXT | {"list": "destinations"}),
    )
    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        max_length=2048,
        required=False,
        help_text=gettext_lazy(
            "Separated by spaces. A tag that exists there moves. Without any, the copy is found by "
            "its digest."
        ),
        widget=forms.TextInput(attrs=_TEXT),
    )


class TagForm(forms.Form):
    """One more tag."""

    name = forms.CharField(
        label=gettext_lazy("Tag"), max_length=128, widget=forms.TextInput(attrs=_TEXT)
    )
    is_move = forms.BooleanField(
        label=gettext_lazy("Move the tag here where it exists"),
        required=False,
        help_text=gettext_lazy("Whoever pulls it gets this image from then on."),
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )


def _found(request: HttpRequest, project: str, path: str, digest: str, action: str) -> Artifact:
    """Return the image, if the caller may do that in its project."""
    within = visible_project(request, project)
    require(principal_of(request), action, within)
    repository = repository_of(within, path)
    live = Artifact.objects.live().filter(repository=repository, body_id=digest)
    artifact = live.select_related("body").first()
    if artifact is None:
        raise Http404
    artifact.repository = repository
    return artifact


def _answer(
    request: HttpRequest, artifact: Artifact, form: forms.Form, template: str, **more: object
) -> HttpResponse:
    context = {
        "section": "projects",
        "project": artifact.repository.project,
        "repository": artifact.repository,
        "artifact": artifact,
        "form": form,
        **more,
    }
    return render(request, template, context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def copy(request: HttpRequest, project: str, path: str, digest: str) -> HttpResponse:
    """Copy an image to another repository, with its platforms and what is attached to it."""
    artifact = _found(request, project, path, digest, "repository:pull")
    initial = {
        "destination": artifact.repository.name,
        "tags": " ".join(copying.tags_of(artifact)),
    }
    form = CopyForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        copied = _copy(request, artifact, form)
        if copied is not None:
            return _to(copied)
    parts = copying.belonging(artifact)
    return _answer(
        request,
        artifact,
        form,
        "artifacts/copy.html",
        part_count=len(parts),
        total_size=sum(part.size for part in parts if part.kind != Artifact.Kind.INDEX),
        suggestions=_suggestions(request),
    )


def _suggestions(request: HttpRequest) -> list[str]:
    allowed = projects_where(principal_of(request), "artifact:create")
    allowed = allowed.filter(is_read_only=False, is_proxy=False)
    return list(allowed.order_by("name").values_list("name", flat=True)[:_SUGGESTIONS])


def _copy(request: HttpRequest, artifact: Artifact, form: forms.Form) -> Artifact | None:
    project_name, _slash, path = form.cleaned_data["destination"].strip().partition("/")
    principal = principal_of(request)
    project = Project.objects.visible_to(principal).filter(name=project_name).first()
    if project is None:
        form.add_error("destination", _("There is no such project, or it is not yours to see."))
        return None
    decision = can(principal, "artifact:create", project)
    if not decision:
        form.add_error("destination", _("You may not push to this project."))
        return None
    tags = form.cleaned_data["tags"].split()
    try:
        return copying.copy(
            artifact, project=project, path=path, tags=tags, actor=actor_of(request)
        )
    except DomainError as error:
        fields = {"repository": "destination", "name": "tags"}
        form.add_error(fields.get(error.field), str(error))
        return None


@require_http_methods(["GET", "HEAD", "POST"])
@page
def add_tag(request: HttpRequest, project: str, path: str, digest: str) -> HttpResponse:
    """Let one more tag point to an image, or move one here."""
    artifact = _found(request, project, path, digest, "tag:create")
    form = TagForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"].strip()
        is_move = form.cleaned_data["is_move"]
        try:
            copying.add_tag(artifact, name, is_move=is_move, actor=actor_of(request))
        except (BadRequest, Conflict) as error:
            form.add_error("name", str(error))
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            return redirect("repositories:tag", project, path, name)
    return _answer(request, artifact, form, "artifacts/tag.html")


@require_POST
@page
def label(request: HttpRequest, project: str, path: str, digest: str) -> HttpResponse:
    """Put a label on an image, or take it off with ``remove``."""
    is_removal = "remove" in request.POST
    action = "artifact-label:delete" if is_removal else "artifact-label:create"
    artifact = _found(request, project, path, digest, action)
    number = request.POST.get("remove" if is_removal else "label", "")
    usable = labels.usable_in(artifact.repository.project)
    chosen = usable.filter(pk=int(number)).first() if _is_number(number) else None
    if chosen is None:
        raise Http404
    try:
        if is_removal:
            labels.detach(artifact, chosen, actor=actor_of(request))
        else:
            labels.attach(artifact, chosen, actor=actor_of(request))
    except (Conflict, NotFound):
        # It was done already, by a second click or by somebody else.
        pass
    return _to(artifact)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _to(artifact: Artifact) -> HttpResponse:
    repository = artifact.repository
    place = repository.project.name, repository.path, artifact.digest
    return redirect("repositories:image", *place)


def offered(request: HttpRequest, artifact: Artifact) -> dict[str, object]:
    """What the page of an image offers to this caller."""
    principal, project = principal_of(request), artifact.repository.project
    own = rights(principal, [project])[project.pk]
    may_pull = "repository:pull" in own or project.is_public
    context: dict[str, object] = {
        "labels": Label.objects.filter(labelings__artifact=artifact).order_by("name", "pk"),
        "may_copy": may_pull and not principal.is_anonymous,
        "may_tag": "tag:create" in own,
        "may_label": "artifact-label:create" in own,
        "may_delete": "artifact:delete" in own,
        "may_untag": "tag:delete" in own,
        "may_ask_retention": "tag-retention:read" in own,
        # Where it runs is for those who belong to the project.
        "in_use": in_use.places_of(project, [artifact.digest]).get(artifact.digest, [])
        if "artifact:list" in own
        else [],
    }
    if context["may_label"]:
        others = labels.usable_in(project).exclude(Q(labelings__artifact=artifact))
        context["label_choices"] = others.order_by("name", "pk")
    return context
