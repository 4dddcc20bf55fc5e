"""The pages of projects that another registry fills: making one, its bounds, its figures."""

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.access import can, can_system, require
from accounts.errors import BadRequest, Conflict
from accounts.models import Project
from accounts.principals import Actor, Principal
from portal.web.access import actor_of, page, principal_of, visible_project
from portal.web.charts import stacks
from portal.web.forms import ProjectForm
from portal.web.project_tabs import frame
from registry_sync import remote_registries, retention_policies
from registry_sync.adapters import ADAPTERS
from registry_sync.models import RemoteRegistry
from registry_sync.proxy_cache import figures, projects
from registry_sync.proxy_cache.projects import Changes
from registry_sync.remote_registries import Address

HOSTED, PROXY = "hosted", "proxy"
_HUB = "docker-hub"
_NUMBER = {"class": "form-control", "inputmode": "numeric"}
_CHECK = {"class": "form-check-input"}
_PLAIN = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
# What the domain calls a field, and what the form does.
_FIELDS = {
    "registry_id": "registry",
    "proxy_speed_kb": "speed_limit",
    "max_upstream_conn": "max_connections",
    "proxy_cache_filter_pattern": "pattern",
    "project_name": "name",
}


class BoundsForm(forms.Form):
    """Within which bounds a project is filled."""

    pattern = forms.CharField(
        label=gettext_lazy("Only these repositories"),
        max_length=512,
        required=False,
        help_text=gettext_lazy(
            "A pattern of their paths, for example library/** or {library,bitnami}/**. Others are "
            "answered as if the other registry had none. Empty: all of them."
        ),
        widget=forms.TextInput(attrs={"class": "form-control", **_PLAIN}),
    )
    speed_limit = forms.IntegerField(
        label=gettext_lazy("Speed limit, KiB a second"),
        min_value=0,
        required=False,
        help_text=gettext_lazy("For all that is fetched at a time. 0: no limit."),
        widget=forms.NumberInput(attrs=_NUMBER),
    )
    max_connections = forms.IntegerField(
        label=gettext_lazy("Layers fetched at a time"),
        min_value=0,
        required=False,
        help_text=gettext_lazy("Who asks for one more waits or is told to come back. 0: no limit."),
        widget=forms.NumberInput(attrs=_NUMBER),
    )
    serves_removed = forms.BooleanField(
        label=gettext_lazy("Keep serving what the other registry has no longer"),
        required=False,
        help_text=gettext_lazy("Otherwise a tag that is deleted there is unknown here too."),
        widget=forms.CheckboxInput(attrs=_CHECK),
    )
    asks_referrers = forms.BooleanField(
        label=gettext_lazy("Fetch signatures and SBOMs too"),
        required=False,
        help_text=gettext_lazy("The other registry is asked what belongs to an image."),
        widget=forms.CheckboxInput(attrs=_CHECK),
    )

    def bounds(self) -> Changes:
        """Return what was entered; an empty number is no limit."""
        given = self.cleaned_data
        return Changes(
            speed_limit=given["speed_limit"] or 0,
            max_connections=given["max_connections"] or 0,
            pattern=given["pattern"].strip(),
            serves_removed=given["serves_removed"],
            asks_referrers=given["asks_referrers"],
        )

    def tell(self, error: BadRequest | Conflict) -> None:
        """Show the domain's error beside what it is about."""
        field = _FIELDS.get(error.field, error.field)
        self.add_error(field if field in self.fields else None, str(error))


class NewProjectForm(BoundsForm, ProjectForm):
    """A new project: of one's own, or filled from another registry."""

    kind = forms.ChoiceField(
        label=gettext_lazy("What it holds"),
        choices=[
            (HOSTED, pgettext_lazy("project", "Hosted")),
            (PROXY, gettext_lazy("Proxy (mirror)")),
        ],
        initial=HOSTED,
        required=False,
        widget=forms.RadioSelect(attrs=_CHECK),
    )
    registry = forms.ChoiceField(
        label=gettext_lazy("Filled from"),
        required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    expiry_days = forms.IntegerField(
        label=gettext_lazy("Days without a pull after which an image is removed"),
        min_value=0,
        max_value=retention_policies.MAX_DAYS,
        required=False,
        initial=projects.EXPIRY_DAYS,
        help_text=gettext_lazy("It is fetched again when somebody wants it. 0: never."),
        widget=forms.NumberInput(attrs=_NUMBER),
    )

    def __init__(self, *args: object, **options: object) -> None:
        """Offer the registries there are, and Docker Hub where it is none of them."""
        super().__init__(*args, **options)  # type: ignore[arg-type]  # as forms.Form takes them
        known = RemoteRegistry.objects.order_by("name").values_list("pk", "name", "url", "kind")
        offered = [(str(pk), f"{name} ({url})") for pk, name, url, _kind in known]
        if all(kind != _HUB for _pk, _name, _url, kind in known):
            offered.append((_HUB, _("Docker Hub, without signing in there")))
        self.fields["registry"].choices = offered  # type: ignore[attr-defined]

    def clean(self) -> dict[str, object]:
        """Ask for a registry where one is needed."""
        given: dict[str, object] = super().clean() or {}
        if given.get("kind") == PROXY and not given.get("registry"):
            self.add_error("registry", _("Choose which registry it is filled from."))
        return given

    @property
    def is_proxy(self) -> bool:
        """Whether the valid form asks for a proxy project."""
        return str(self.cleaned_data["kind"]) == PROXY

    @transaction.atomic
    def create(self, actor: Actor) -> Project:
        """Make the proxy project, and the registry where it is Docker Hub and not known yet."""
        given = self.cleaned_data
        remote = given["registry"]
        if remote == _HUB:
            adapter = ADAPTERS[_HUB]
            address = Address(url=adapter.url, kind=_HUB)
            added = remote_registries.create(
                name=_free_name(_HUB), description="", address=address, actor=actor
            )
            remote = added.pk
        days = given["expiry_days"]
        return projects.create(
            name=given["name"],
            is_public=given["is_public"],
            remote_id=int(remote),
            bounds=self.bounds(),
            expiry_days=projects.EXPIRY_DAYS if days is None else days,
            actor=actor,
        )


def _free_name(wanted: str) -> str:
    """Return a registry's name that is not taken."""
    taken = set(RemoteRegistry.objects.values_list("name", flat=True))
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (wanted, *numbered) if name not in taken)


def may_create(principal: Principal) -> bool:
    """Whether this person may fill a project from another registry."""
    return all(can_system(principal, action) for action in ("registry:read", "project:create"))


@require_http_methods(["GET", "HEAD", "POST"])
@page
def settings(request: HttpRequest, project: str) -> HttpResponse:
    """Show from where the project is filled and within which bounds; change these."""
    found = visible_project(request, project)
    principal = principal_of(request)
    require(principal, "metadata:read", found)
    cache = projects.of(found)
    if cache is None:
        raise Http404
    names = ("pattern", "speed_limit", "max_connections", "serves_removed", "asks_referrers")
    form = BoundsForm(request.POST or None, initial={name: getattr(cache, name) for name in names})
    if request.method == "POST":
        require(principal, "project:update", found)
        if form.is_valid():
            try:
                projects.update(found, changes=form.bounds(), actor=actor_of(request))
            except (BadRequest, Conflict) as error:
                form.tell(error)
            else:
                messages.success(request, _("The settings are saved."))
                return redirect("projects:proxy", found.name)
    context = frame(request, found, "proxy") | {
        "form": form,
        "remote": cache.remote,
        "kind": ADAPTERS[cache.remote.kind].label,
        "may_update": bool(can(principal, "project:update", found)),
        "may_change_remote": bool(can_system(principal, "registry:update")),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "proxy_cache/settings.html", context, status=status)


# --- Figures --------------------------------------------------------------------------------------


def overview(project: Project, own: frozenset[str]) -> dict[str, object]:
    """Return what the overview shows of a proxy project; nothing for a project of one's own.

    ``own`` are the caller's rights in it: where it is filled from is for who may see its settings.
    """
    cache = projects.of(project)
    if cache is None:
        return {}
    days = figures.by_day(project.pk)
    columns = stacks([(day, one.saved_bytes, one.fetched_bytes) for day, one in days])
    total = figures.of_project(project.pk)
    budget = figures.budget(cache.remote_id)
    now = timezone.now()
    return {
        "proxy": cache,
        "may_see_upstream": "metadata:read" in own,
        "proxy_total": total,
        "proxy_ratio": None if total.hit_ratio is None else round(100 * total.hit_ratio),
        "proxy_days": list(zip(columns.days, [one for _day, one in days], strict=True)),
        "proxy_sent": total.saved_bytes + total.fetched_bytes,
        "budget": budget,
        "budget_hours": round(budget.window / 3600) if budget.window else 0,
        "is_blocked": budget.blocked_until is not None and budget.blocked_until > now,
    }
