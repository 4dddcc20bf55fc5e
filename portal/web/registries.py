"""The pages of other registries: which there are, whether they answer, and how to sign in there."""

from collections import defaultdict

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import can_system, require_system
from accounts.errors import DomainError, PreconditionFailed
from portal.web.access import actor_of, page, principal_of
from portal.web.paging import page_of
from registry_sync import remote_registries
from registry_sync.adapters import ADAPTERS
from registry_sync.models import RegistryCheck, RemoteRegistry
from registry_sync.remote_registries import Address

_TEXT = {
    "class": "form-control",
    "autocomplete": "off",
    "autocapitalize": "none",
    "spellcheck": "false",
}
_SECTION = "registries"
# What the list shows of the last answers.
_CHECKS = 24


def _kinds() -> list[tuple[str, str]]:
    return [(name, adapter.label) for name, adapter in ADAPTERS.items()]


class RegistryForm(forms.Form):
    """Where a registry is, and what proves to it who we are."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=128, widget=forms.TextInput(attrs=_TEXT)
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=_kinds,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=512,
        help_text=gettext_lazy("For example https://registry.example.com:5000."),
        widget=forms.TextInput(attrs=_TEXT | {"inputmode": "url"}),
    )
    username = forms.CharField(
        label=gettext_lazy("Username"),
        max_length=4096,
        required=False,
        widget=forms.TextInput(attrs=_TEXT),
    )
    password = forms.CharField(
        label=gettext_lazy("Password or token"),
        max_length=4096,
        required=False,
        strip=False,
        help_text=gettext_lazy("Kept encrypted and shown to nobody."),
        widget=forms.PasswordInput(attrs={"class": "form-control", "autocomplete": "new-password"}),
    )
    description = forms.CharField(
        label=gettext_lazy("Description"),
        max_length=1024,
        required=False,
        widget=forms.TextInput(attrs={"class": "form-control"}),
    )
    ca_certificate = forms.CharField(
        label=gettext_lazy("Certificate of its authority"),
        required=False,
        help_text=gettext_lazy(
            "In PEM form, for a registry that no public authority vouches for. It alone is then "
            "believed."
        ),
        widget=forms.Textarea(attrs=_TEXT | {"rows": "4"}),
    )
    is_insecure = forms.BooleanField(
        label=gettext_lazy("Do not look at its certificate"),
        required=False,
        help_text=gettext_lazy("Whoever sits in between then reads the password and the images."),
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )

    def address(self, password: str) -> Address:
        """Return what was entered; ``password`` stands where none was."""
        given = self.cleaned_data
        return Address(
            url=given["url"],
            kind=given["kind"],
            username=given["username"].strip(),
            password=given["password"] or password,
            is_insecure=given["is_insecure"],
            ca_certificate=given["ca_certificate"],
        )


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """List the registries, each with how it answered last."""
    principal = principal_of(request)
    require_system(principal, "registry:list")
    rows = RemoteRegistry.objects.annotate(policy_count=Count("policies")).order_by("name")
    listed = page_of(request, rows)
    checks: dict[int, list[RegistryCheck]] = defaultdict(list)
    for answer in RegistryCheck.objects.filter(remote__in=list(listed)).order_by("pk"):
        checks[answer.remote_id].append(answer)
    context = {
        "section": _SECTION,
        "page": listed,
        "rows": [
            (remote, ADAPTERS[remote.kind].label, checks[remote.pk][-_CHECKS:]) for remote in listed
        ],
        "may_create": bool(can_system(principal, "registry:create")),
        "may_update": bool(can_system(principal, "registry:update")),
    }
    return render(request, "registries/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def create(request: HttpRequest) -> HttpResponse:
    """Add a registry, and ask it at once whether it answers."""
    require_system(principal_of(request), "registry:create")
    form = RegistryForm(request.POST or None, initial={"kind": "docker-registry"})
    if request.method == "POST" and form.is_valid() and _is_saved(request, form, None):
        return redirect("administration:registries")
    return _form_page(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def edit(request: HttpRequest, registry_id: int) -> HttpResponse:
    """Change a registry; an empty password leaves the one that is kept."""
    require_system(principal_of(request), "registry:update")
    remote = _found(registry_id)
    names = ("name", "kind", "url", "username", "description", "ca_certificate", "is_insecure")
    initial = {name: getattr(remote, name) for name in names}
    form = RegistryForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid() and _is_saved(request, form, remote):
        return redirect("administration:registries")
    return _form_page(request, form, remote)


@require_POST
@page
def check(request: HttpRequest, registry_id: int) -> HttpResponse:
    """Ask a registry whether it answers and lets us in."""
    require_system(principal_of(request), "registry:update")
    _say(request, remote_registries.check(_found(registry_id)))
    return redirect("administration:registries")


@require_POST
@page
def delete(request: HttpRequest, registry_id: int) -> HttpResponse:
    """Delete a registry that no policy uses."""
    require_system(principal_of(request), "registry:delete")
    remote = _found(registry_id)
    try:
        remote_registries.remove(remote, actor=actor_of(request))
    except PreconditionFailed as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("%(name)s is deleted.") % {"name": remote.name})
    return redirect("administration:registries")


def _found(registry_id: int) -> RemoteRegistry:
    remote = None
    if registry_id < 2**63:
        remote = RemoteRegistry.objects.filter(pk=registry_id).first()
    if remote is None:
        raise Http404
    return remote


def _is_saved(request: HttpRequest, form: RegistryForm, remote: RemoteRegistry | None) -> bool:
    given, actor = form.cleaned_data, actor_of(request)
    shown = {"name": given["name"], "description": given["description"]}
    try:
        if remote is None:
            saved = remote_registries.create(**shown, address=form.address(""), actor=actor)
        else:
            kept = remote_registries.address_of(remote).password
            saved = remote_registries.update(
                remote,
                **shown,
                address=form.address(kept),
                is_password_given=bool(given["password"]),
                actor=actor,
            )
        remote_registries.check(saved)
    except DomainError as error:
        field = {"type": "kind"}.get(error.field, error.field)
        form.add_error(field if field in form.fields else None, str(error))
        return False
    _say(request, saved)
    return True


def _say(request: HttpRequest, remote: RemoteRegistry) -> None:
    named = {"name": remote.name, "problem": _(remote.problem) if remote.problem else ""}
    if remote.problem:
        messages.error(request, _("%(name)s: %(problem)s") % named)
    else:
        messages.success(request, _("%(name)s answers and lets us in.") % named)


def _form_page(
    request: HttpRequest, form: RegistryForm, remote: RemoteRegistry | None
) -> HttpResponse:
    context = {"section": _SECTION, "form": form, "remote": remote}
    if remote is not None:
        context["policies"] = remote.policies.order_by("name")
        context["may_delete"] = bool(can_system(principal_of(request), "registry:delete"))
    status = 422 if request.method == "POST" else 200
    return render(request, "registries/edit.html", context, status=status)
