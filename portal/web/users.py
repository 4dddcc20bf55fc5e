"""Pages about everybody's accounts, for administrators; auditors read them."""

from collections.abc import Callable

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import resets, users
from accounts.access import can_system, require_system
from accounts.errors import BadRequest, Conflict, Denied, PreconditionFailed
from accounts.models import ProjectMember, User, UserSession
from portal.web.access import actor_of, is_fragment, page, principal_of
from portal.web.paging import page_of, query_of
from portal.web.password_reset import link_of

_MAX_PROJECTS = 100
_TEXT = {"class": "form-control", "autocomplete": "off"}


class UserForm(forms.Form):
    """A new user."""

    username = forms.CharField(
        label=gettext_lazy("Username"),
        max_length=255,
        widget=forms.TextInput(attrs={**_TEXT, "autocapitalize": "none", "spellcheck": "false"}),
    )
    realname = forms.CharField(
        label=gettext_lazy("Full name"),
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs=_TEXT),
    )
    email = forms.CharField(
        label=gettext_lazy("E-mail"),
        max_length=255,
        required=False,
        widget=forms.EmailInput(attrs=_TEXT),
    )
    password = forms.CharField(
        label=gettext_lazy("Password"),
        max_length=1024,
        strip=False,
        required=False,
        help_text=gettext_lazy("Leave it empty to get a link with which they choose one."),
        widget=forms.PasswordInput(attrs={**_TEXT, "autocomplete": "new-password"}),
    )
    is_administrator = forms.BooleanField(
        label=gettext_lazy("Administrator"),
        required=False,
        help_text=gettext_lazy("May do everything, in every project."),
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )


def _with_last_seen() -> QuerySet[User]:
    sessions = UserSession.objects.filter(user=OuterRef("pk")).order_by("-last_seen_at")
    return User.objects.filter(deleted_at=None).annotate(
        last_seen=Subquery(sessions.values("last_seen_at")[:1])
    )


def _user(user_id: int) -> User:
    # More than any row's number would overflow in the database.
    found = _with_last_seen().filter(pk=user_id).first() if user_id < 2**63 else None
    if found is None:
        raise Http404
    return found


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """Every user, by name."""
    principal = principal_of(request)
    require_system(principal, "user:list")
    rows = _with_last_seen()
    query = query_of(request)
    if query:
        named = Q(username__icontains=query) | Q(realname__icontains=query)
        rows = rows.filter(named | Q(email__icontains=query))
    context = {
        "section": "users",
        "query": query,
        "page": page_of(request, rows.order_by("username")),
        "may_create": bool(can_system(principal, "user:create")),
    }
    fragment = "#rows" if is_fragment(request, "rows") else ""
    return render(request, f"users/list.html{fragment}", context)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@page
def create(request: HttpRequest) -> HttpResponse:
    """Make a user; without a password, show the link with which they choose one."""
    require_system(principal_of(request), "user:create")
    form = UserForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data["password"]
        try:
            made = users.create(
                # Nobody ever sees the random one.
                **{**form.cleaned_data, "password": chosen or get_random_string(48)},
                actor=actor_of(request),
            )
        except (BadRequest, Conflict) as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            if chosen:
                return redirect("administration:user", made.pk)
            return _with_link(request, made)
    context = {"section": "users", "form": form}
    status = 422 if request.method == "POST" else 200
    return render(request, "users/create.html", context, status=status)


@require_safe
@page
def detail(request: HttpRequest, user_id: int) -> HttpResponse:
    """One user: rights, projects, and what may be done with them."""
    require_system(principal_of(request), "user:read")
    return _shown(request, _user(user_id))


def _shown(request: HttpRequest, user: User, *, refusal: str = "", link: str = "") -> HttpResponse:
    principal = principal_of(request)
    memberships = ProjectMember.objects.filter(user=user, project__deleted_at=None)
    context = {
        "section": "users",
        "person": _user(user.pk),
        "is_self": user.pk == principal.user_id,
        "memberships": memberships.select_related("project").order_by("project__name")[
            :_MAX_PROJECTS
        ],
        "may_update": bool(can_system(principal, "user:update")),
        "may_delete": bool(can_system(principal, "user:delete")),
        "refusal": refusal,
        "link": link,
        "is_link_mailed": settings.MOORAGE_SENDS_MAIL and bool(user.email),
        "could_not_mail": bool(link) and settings.MOORAGE_SENDS_MAIL,
    }
    return render(request, "users/detail.html", context, status=422 if refusal else 200)


# What turns each, and what it is called there.
_SWITCHES: dict[str, tuple[Callable[..., User], str]] = {
    "active": (users.set_active, "is_active"),
    "administrator": (users.set_administrator, "is_administrator"),
    "auditor": (users.set_auditor, "is_auditor"),
}


@require_POST
@page
def switch(request: HttpRequest, user_id: int, name: str) -> HttpResponse:
    """Turn one of a user's switches on or off."""
    principal = principal_of(request)
    require_system(principal, "user:update")
    user = _user(user_id)
    state = request.POST.get("to")
    if name not in _SWITCHES or state not in {"on", "off"}:
        raise Http404
    change, keyword = _SWITCHES[name]
    try:
        change(user, actor=actor_of(request), **{keyword: state == "on"})
    except PreconditionFailed as error:
        return _shown(request, user, refusal=str(error))
    # One's own change may have ended the session, or the right to look at this page.
    if user.pk == principal.user_id:
        return redirect("home")
    return redirect("administration:user", user.pk)


@require_POST
@page
def reset(request: HttpRequest, user_id: int) -> HttpResponse:
    """Make a link with which the user chooses a new password; mail it, or show it this once."""
    require_system(principal_of(request), "user:update")
    return _with_link(request, _user(user_id))


def _with_link(request: HttpRequest, user: User) -> HttpResponse:
    """Mail the link where that is possible; else show it."""
    try:
        made, secret = resets.create(user, actor=actor_of(request))
    except PreconditionFailed as error:
        return _shown(request, user, refusal=str(error))
    link = link_of(secret)
    if resets.mail_link(made, link):
        text = _("A link for a new password is on its way to %(address)s.") % {
            "address": user.email
        }
        messages.success(request, text)
        return redirect("administration:user", user.pk)
    return _shown(request, user, link=link)


@require_POST
@page
def remove(request: HttpRequest, user_id: int) -> HttpResponse:
    """Delete a user whose name was typed again."""
    require_system(principal_of(request), "user:delete")
    user = _user(user_id)
    if request.POST.get("confirmation", "").strip().lower() != user.username:
        return _shown(request, user, refusal=_("To delete this user, type the username."))
    try:
        users.remove(user, actor=actor_of(request))
    except (Denied, PreconditionFailed) as error:
        return _shown(request, user, refusal=str(error))
    return redirect("administration:users")
