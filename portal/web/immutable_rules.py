"""The pages of a project's immutable rules: which tags stay what they are."""

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import can, require
from accounts.errors import BadRequest, Conflict
from accounts.models import Project
from portal.web.access import actor_of, is_fragment, page, principal_of, visible_project
from portal.web.project_tabs import frame
from registry_sync import immutable_rules
from registry_sync.immutability import Rule, rule_of
from registry_sync.immutable_rules import Preview
from registry_sync.models import ImmutableRule
from registry_sync.models.immutability import Match


def _select(label: str | Promise) -> forms.Select:
    return forms.Select(attrs={"class": "form-select", "aria-label": label})


def _input(label: str | Promise) -> forms.TextInput:
    attrs = {"class": "form-control mo-w8", "autocomplete": "off", "spellcheck": "false"}
    return forms.TextInput(attrs={**attrs, "aria-label": label})


# What the form begins with.
_FIRST = Rule("v*")


class RuleForm(forms.Form):
    """A rule as a sentence with four gaps."""

    repository_match = forms.ChoiceField(
        choices=Match.choices, initial=Match.MATCHES, widget=_select(gettext_lazy("Repositories"))
    )
    repository_pattern = forms.CharField(
        max_length=255,
        initial=_FIRST.repository_pattern,
        widget=_input(gettext_lazy("Pattern for repositories")),
    )
    tag_match = forms.ChoiceField(
        choices=Match.choices, initial=Match.MATCHES, widget=_select(gettext_lazy("Tags"))
    )
    tag_pattern = forms.CharField(
        max_length=255, initial=_FIRST.tag_pattern, widget=_input(gettext_lazy("Pattern for tags"))
    )

    @property
    def rule(self) -> Rule:
        """What was written; the form must be valid."""
        return Rule(**self.cleaned_data)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest, project: str) -> HttpResponse:
    """List the rules; show what one would hold, and make it."""
    found = visible_project(request, project)
    principal = principal_of(request)
    require(principal, "immutable-tag:list", found)
    form = RuleForm(request.POST or None)
    if request.method != "POST":
        return _answer(request, found, form, immutable_rules.preview(found, _FIRST))
    require(principal, "immutable-tag:create", found)
    preview = _preview(form, found)
    if not _is_look(request) and form.is_valid() and _is_saved(form, request, found):
        return redirect("projects:immutable_rules", found.name)
    return _answer(request, found, form, preview)


def _answer(
    request: HttpRequest, project: Project, form: RuleForm, preview: Preview | None
) -> HttpResponse:
    rows = list(ImmutableRule.objects.filter(project=project))
    rules = [rule_of(row) for row in rows]
    fragment = "#preview" if is_fragment(request, "preview") else ""
    counts, is_partial = ([], False) if fragment else immutable_rules.counts(project, rules)
    principal = principal_of(request)
    context = frame(request, project, "immutable") | {
        "form": form,
        "preview": preview,
        "rows": [] if fragment else list(zip(rows, rules, counts, strict=True)),
        "is_partial": is_partial,
        "may_create": bool(can(principal, "immutable-tag:create", project)),
        "may_update": bool(can(principal, "immutable-tag:update", project)),
    }
    is_refused = request.method == "POST" and not form.is_valid() and not fragment
    status = 422 if is_refused else 200
    return render(request, f"immutable_rules/list.html{fragment}", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def edit(request: HttpRequest, project: str, rule_id: str) -> HttpResponse:
    """Change a rule, having shown what it would hold."""
    row = _find(request, project, rule_id, "update")
    found = row.project
    initial = {name: getattr(row, name) for name in RuleForm.base_fields}
    form = RuleForm(request.POST or None, initial=initial)
    if request.method == "POST":
        preview = _preview(form, found)
        if not _is_look(request) and form.is_valid() and _is_saved(form, request, found, row):
            return redirect("projects:immutable_rules", found.name)
    else:
        preview = immutable_rules.preview(found, rule_of(row))
    fragment = "#preview" if is_fragment(request, "preview") else ""
    context = frame(request, found, "immutable") | {"form": form, "row": row, "preview": preview}
    is_refused = request.method == "POST" and not form.is_valid() and not fragment
    status = 422 if is_refused else 200
    name = "list.html#preview" if fragment else "edit.html"
    return render(request, f"immutable_rules/{name}", context, status=status)


@require_POST
@page
def switch(request: HttpRequest, project: str, rule_id: str) -> HttpResponse:
    """Switch a rule off, or on again."""
    row = _find(request, project, rule_id, "update")
    is_disabled = request.POST.get("to") == "off"
    immutable_rules.update(row, rule=rule_of(row), is_disabled=is_disabled, actor=actor_of(request))
    text = _("The rule is switched off.") if is_disabled else _("The rule is switched on.")
    messages.success(request, text)
    return redirect("projects:immutable_rules", row.project.name)


@require_POST
@page
def delete(request: HttpRequest, project: str, rule_id: str) -> HttpResponse:
    """Delete a rule."""
    row = _find(request, project, rule_id, "delete")
    immutable_rules.remove(row, actor=actor_of(request))
    messages.success(request, _("The rule is deleted."))
    return redirect("projects:immutable_rules", row.project.name)


def _find(request: HttpRequest, project: str, rule_id: str, verb: str) -> ImmutableRule:
    """Return a rule, looked up through its project, with which this caller may do that."""
    found = visible_project(request, project)
    require(principal_of(request), f"immutable-tag:{verb}", found)
    number = int(rule_id)
    row = ImmutableRule.objects.filter(project=found, pk=number).first() if number < 2**63 else None
    if row is None:
        raise Http404
    row.project = found
    return row


def _is_look(request: HttpRequest) -> bool:
    """Tell whether they only want to see what the rule would hold."""
    return "look" in request.POST or is_fragment(request, "preview")


def _preview(form: RuleForm, project: Project) -> Preview | None:
    """Return what the rule would hold; nothing where it is none, with the reason in the form."""
    if not form.is_valid():
        return None
    try:
        return immutable_rules.preview(project, form.rule)
    except BadRequest as error:
        form.add_error(error.field, str(error))
        return None


def _is_saved(
    form: RuleForm, request: HttpRequest, project: Project, row: ImmutableRule | None = None
) -> bool:
    """Make or change a rule; tell whether it was accepted."""
    actor = actor_of(request)
    try:
        if row is None:
            immutable_rules.create(project, rule=form.rule, actor=actor)
        else:
            is_disabled = row.is_disabled
            immutable_rules.update(row, rule=form.rule, is_disabled=is_disabled, actor=actor)
    except (BadRequest, Conflict) as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return False
    messages.success(request, _("The rule is saved and holds from now on."))
    return True
