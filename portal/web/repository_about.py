"""The page on which a repository says what it is: its description, or what its images say."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import require
from accounts.errors import BadRequest
from portal.web.access import actor_of, page, principal_of, public_page, visible_project
from portal.web.charts import pull_columns
from portal.web.markdown import html_of
from portal.web.repositories import repository_of
from portal.web.repository_tabs import frame, rights_in
from registry_sync import repositories, statistics
from registry_sync.models import Artifact, Repository

_PREFIX = "org.opencontainers.image."
# OCI image-spec 1.1, "Annotations": those that a reader of the page can use.
_FACTS: dict[str, Promise] = {
    "title": gettext_lazy("Title"),
    "description": gettext_lazy("Description"),
    "version": gettext_lazy("Version"),
    "source": gettext_lazy("Source"),
    "url": gettext_lazy("Web page"),
    "documentation": gettext_lazy("Documentation"),
    "licenses": gettext_lazy("Licence"),
    "vendor": gettext_lazy("Vendor"),
    "authors": gettext_lazy("Authors"),
    "revision": gettext_lazy("Revision"),
    "base.name": gettext_lazy("Built on"),
}
# Of what images say, so much of each is shown.
_LENGTH = 2000


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing an image says of itself."""

    words: str | Promise
    value: str

    @property
    def link(self) -> str:
        """The value, where it is an address of the web."""
        try:
            parts = urlsplit(self.value)
        except ValueError:
            return ""
        return self.value if parts.scheme in {"http", "https"} and parts.netloc else ""


class DescriptionForm(forms.Form):
    """The description in Markdown."""

    description = forms.CharField(
        label=gettext_lazy("Description"),
        required=False,
        strip=False,
        max_length=repositories.MAX_DESCRIPTION,
        help_text=gettext_lazy("In Markdown. HTML and pictures are not shown."),
        widget=forms.Textarea(attrs={"class": "form-control mo-mono", "rows": 16}),
    )


@require_safe
@public_page
def index(request: HttpRequest, project: str, path: str) -> HttpResponse:
    """What people and images say of the repository."""
    repository = repository_of(visible_project(request, project), path)
    newest = Artifact.objects.live().filter(repository=repository, subject_digest="").first()
    context = frame(request, repository, "about") | {
        "html": html_of(repository.description),
        "newest": newest,
        "facts": facts_of(newest) if newest else [],
        "may_update": "repository:update" in rights_in(request, repository),
        "pulls": pull_columns(statistics.days_of_repository(repository.pk)),
        "last_pull": statistics.of_repositories([repository.pk]).get(repository.pk),
    }
    return render(request, "repositories/about.html", context)


def facts_of(artifact: Artifact) -> list[Fact]:
    """Return what an image says in annotations and labels; an index's first image speaks too."""
    said: dict[str, object] = {}
    first = artifact.references.select_related("child").order_by("position").first()
    for each in filter(None, (first.child if first else None, artifact)):
        run = each.config.get("config") if isinstance(each.config, dict) else None
        labels = run.get("Labels") if isinstance(run, dict) else None
        said |= labels if isinstance(labels, dict) else {}
        said |= each.annotations if isinstance(each.annotations, dict) else {}
    return [
        Fact(words, value[:_LENGTH])
        for key, words in _FACTS.items()
        if isinstance(value := said.get(f"{_PREFIX}{key}"), str) and value.strip()
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@page
def edit(request: HttpRequest, project: str, path: str) -> HttpResponse:
    """Change the description, having looked at it."""
    found = visible_project(request, project)
    require(principal_of(request), "repository:update", found)
    repository = repository_of(found, path)
    form = DescriptionForm(request.POST or None, initial={"description": repository.description})
    is_look = "look" in request.POST
    is_sent = request.method == "POST" and not is_look
    if is_sent and form.is_valid() and _is_saved(form, request, repository):
        messages.success(request, _("The description is saved."))
        return redirect("repositories:about", found.name, repository.path)
    written = form["description"].value() or ""
    context = frame(request, repository, "about") | {
        "form": form,
        "html": html_of(str(written)) if is_look else "",
    }
    status = 422 if request.method == "POST" and not form.is_valid() else 200
    return render(request, "repositories/edit_about.html", context, status=status)


def _is_saved(form: DescriptionForm, request: HttpRequest, repository: Repository) -> bool:
    text = form.cleaned_data["description"]
    try:
        repositories.describe(repository, description=text, actor=actor_of(request))
    except BadRequest as error:
        form.add_error("description", str(error))
        return False
    return True
