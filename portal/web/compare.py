"""Two images side by side, also of different repositories."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from portal.web.access import public_page, visible_project
from portal.web.image_config import Step, steps
from portal.web.repositories import repository_of
from portal.web.tag_rows import Platform, index_content
from registry_sync import references
from registry_sync.image_comparison import compare_images
from registry_sync.models import Artifact, Tag

_LENGTH = 600


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two images, as its reference names it."""

    reference: str
    artifact: Artifact
    platforms: list[Platform]
    named: str


class CompareForm(forms.Form):
    """Which two images."""

    base = forms.CharField(label=gettext_lazy("Base"), max_length=_LENGTH)
    head = forms.CharField(label=gettext_lazy("Head"), max_length=_LENGTH)


@require_safe
@public_page
def index(request: HttpRequest) -> HttpResponse:
    """Compare two images that this caller may pull."""
    chosen = request.GET if request.GET.get("base") or request.GET.get("head") else None
    form = CompareForm(chosen)
    context: dict[str, Any] = {"section": "projects", "form": form}
    if not form.is_valid():
        return render(request, "compare/index.html", context)
    platform = request.GET.get("platform", "")
    sides = [_side(request, form, name, platform) for name in ("base", "head")]
    base, head = sides
    if base is None or head is None:
        return render(request, "compare/index.html", context)
    comparison = compare_images(base.artifact, head.artifact)
    base_steps = _steps(base.artifact)
    head_steps = _steps(head.artifact)
    query = {"base": head.reference, "head": base.reference}
    context |= {
        "base": base,
        "head": head,
        "comparison": comparison,
        "base_steps": base_steps,
        "head_steps": head_steps,
        "shared_digests": {layer.blob_id for layer in comparison.base_layers}
        & {layer.blob_id for layer in comparison.head_layers},
        "difference": head.artifact.size - base.artifact.size,
        "smaller": base.artifact.size - head.artifact.size,
        "new_layers": len(
            {layer.blob_id for layer in comparison.head_layers}
            - {layer.blob_id for layer in comparison.base_layers}
        ),
        "swap_url": f"{request.path}?{urlencode(query)}",
        "platform_urls": _platform_urls(request, base, head),
        "platform": platform,
    }
    return render(request, "compare/index.html", context)


def _side(request: HttpRequest, form: CompareForm, name: str, platform: str) -> Side | None:
    """Return what a reference names, or put the reason to its field and return None."""
    text = form.cleaned_data[name].strip()
    parsed = references.parse(text)
    if parsed is None:
        form.add_error(name, _("Write project/repository:tag or project/repository@sha256:…."))
        return None
    try:
        artifact = _find(request, parsed)
    except Http404:
        artifact = None
    if artifact is None:
        form.add_error(name, _("There is no such image, or you may not see it."))
        return None
    platforms: list[Platform] = []
    if artifact.kind == Artifact.Kind.INDEX:
        platforms = index_content(artifact.references.select_related("child")).platforms
        wanted = [each for each in platforms if each.name == platform] or platforms
        if not wanted:
            form.add_error(name, _("This index has no platforms."))
            return None
        repository = artifact.repository
        artifact = Artifact.objects.live().get(pk=wanted[0].artifact_id)
        artifact.repository = repository
    if artifact.kind != Artifact.Kind.IMAGE:
        form.add_error(name, _("Only images can be compared."))
        return None
    return Side(text, artifact, platforms, parsed.tag or artifact.digest[7:19])


def _find(request: HttpRequest, parsed: references.Reference) -> Artifact | None:
    project = visible_project(request, parsed.project)
    repository = repository_of(project, parsed.path)
    rows = Artifact.objects.live().filter(repository=repository)
    if parsed.digest:
        artifact = rows.filter(body_id=parsed.digest).first()
    else:
        tags = Tag.objects.filter(repository=repository, name=parsed.tag)
        artifact = rows.filter(pk__in=tags.values("artifact")).first()
    if artifact is not None:
        artifact.repository = repository
    return artifact


def _steps(artifact: Artifact) -> list[Step]:
    """The instructions that made layers, the top one first."""
    layers = list(artifact.blobs.filter(position__gt=0))
    return [step for step in reversed(steps(artifact.config, layers)) if step.layer]


def _platform_urls(request: HttpRequest, base: Side, head: Side) -> list[tuple[str, str]]:
    """Return the platforms that both have, with the page that compares them."""
    both = [each.name for each in base.platforms if each.name in {p.name for p in head.platforms}]
    query = {"base": base.reference, "head": head.reference}
    return [(name, f"{request.path}?{urlencode({**query, 'platform': name})}") for name in both]
