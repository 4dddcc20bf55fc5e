"""A retention policy as people write it: rules as sentences, what always stays, and when."""

import json
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from registry_sync.models import RetentionPolicy
from registry_sync.retention_policies import MAX_COUNT, Terms, cron_of
from registry_sync.retention_rules import AGES, COUNTS, MAX_RULES, Template

_LOOK = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
TEMPLATES = (
    ("", _("(no rule)")),
    (Template.PUSHED.value, _("those pushed last, so many")),
    (Template.PULLED.value, _("those pulled last, so many")),
    (Template.ACTIVE.value, _("those pushed or pulled last, so many")),
    (Template.PATCHES.value, _("the last patches of each minor version, so many")),
    (Template.PUSHED_DAYS.value, _("those pushed in so many days")),
    (Template.PULLED_DAYS.value, _("those pulled in so many days")),
    (Template.ALWAYS.value, _("all")),
    (Template.NOTHING.value, _("none")),
)
_TIMES = (
    ("", _("by hand only")),
    ("0 0 3 * * *", _("every day at 3:00")),
    ("0 0 3 * * 0", _("every Sunday at 3:00")),
    ("0 0 3 1 * *", _("on the first of each month at 3:00")),
)
_REPOSITORY_CHOICES = (("repoMatches", _("that match")), ("repoExcludes", _("that do not match")))
_TAG_CHOICES = (("matches", _("that match")), ("excludes", _("that do not match")))


def _select(label: object) -> forms.Select:
    return forms.Select(attrs={"class": "form-select", "aria-label": label})


def _input(label: object) -> forms.TextInput:
    return forms.TextInput(attrs={**_LOOK, "class": "form-control mo-w8", "aria-label": label})


class RuleForm(forms.Form):
    """One rule as a sentence with gaps; one without a template is none."""

    repository_match = forms.ChoiceField(
        choices=_REPOSITORY_CHOICES, widget=_select(_("Repositories")), required=False
    )
    repository_pattern = forms.CharField(
        max_length=512, initial="**", required=False, widget=_input(_("Pattern for repositories"))
    )
    tag_match = forms.ChoiceField(choices=_TAG_CHOICES, widget=_select(_("Tags")), required=False)
    tag_pattern = forms.CharField(
        max_length=512, initial="**", required=False, widget=_input(_("Pattern for tags"))
    )
    template = forms.ChoiceField(
        choices=TEMPLATES, widget=_select(_("What it keeps")), required=False
    )
    number = forms.IntegerField(
        min_value=1,
        max_value=MAX_COUNT,
        required=False,
        widget=forms.NumberInput(
            attrs={"class": "form-control mo-w4", "aria-label": _("How many")}
        ),
    )

    @property
    def rule(self) -> dict[str, Any] | None:
        """The rule in Harbor's form."""
        said = self.cleaned_data
        template = said.get("template")
        if not template:
            return None
        takes_number = template in COUNTS | AGES
        tag = {"decoration": said["tag_match"] or "matches", "pattern": said["tag_pattern"]}
        extras = json.dumps({"untagged": tag["decoration"] == "matches"})
        path = {
            "decoration": said["repository_match"] or "repoMatches",
            "pattern": said["repository_pattern"],
        }
        return {
            "action": "retain",
            "template": template,
            "params": {template: said.get("number")} if takes_number else {},
            "tag_selectors": [{"kind": "doublestar", **tag, "extras": extras}],
            "scope_selectors": {"repository": [{"kind": "doublestar", **path}]},
        }


RuleForms = forms.formset_factory(
    RuleForm, extra=1, can_delete=True, max_num=MAX_RULES + 1, absolute_max=MAX_RULES + 5
)


class GuardForm(forms.Form):
    """What always stays, how unspoken tags are read, and when it runs."""

    keep_latest = forms.BooleanField(required=False)
    keep_pulled_days = forms.IntegerField(
        min_value=0,
        max_value=36_500,
        required=False,
        widget=forms.NumberInput(
            attrs={"class": "form-control mo-w4", "aria-label": _("Days since the last pull")}
        ),
    )
    is_harbor = forms.BooleanField(required=False)
    cron = forms.ChoiceField(choices=_TIMES, required=False, widget=_select(_("Times")))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Offer the times that are set, be they our own or not."""
        super().__init__(*args, **kwargs)
        known = [cron for cron, _words in _TIMES]
        for own in (self.initial.get("cron"), self.data.get("cron")):
            if own and own not in known:
                self.fields["cron"].choices = [*_TIMES, (own, own)]  # type: ignore[attr-defined]


def is_plain(rule: dict[str, Any]) -> bool:
    """Tell whether the sentence's gaps can hold a rule; the API can make others."""
    tags = rule.get("tag_selectors") or [{}]
    paths = (rule.get("scope_selectors") or {}).get("repository") or [{}]
    return len(tags) == len(paths) == 1 and not rule.get("disabled")


def initial_of(policy: RetentionPolicy | None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return what the forms begin with."""
    if policy is None:
        return [], {"cron": "", "keep_latest": True, "keep_pulled_days": 0}
    rules = [_gaps(rule) for rule in policy.rules]
    return rules, {
        "keep_latest": policy.keep_latest,
        "keep_pulled_days": policy.keep_pulled_days,
        "is_harbor": policy.is_harbor,
        "cron": cron_of(policy),
    }


def _gaps(rule: dict[str, Any]) -> dict[str, Any]:
    tag = (rule.get("tag_selectors") or [{}])[0]
    path = ((rule.get("scope_selectors") or {}).get("repository") or [{}])[0]
    template = rule.get("template")
    return {
        "template": template,
        "number": (rule.get("params") or {}).get(template),
        "tag_match": tag.get("decoration", "matches"),
        "tag_pattern": tag.get("pattern", "**"),
        "repository_match": path.get("decoration", "repoMatches"),
        "repository_pattern": path.get("pattern", "**"),
    }


def terms_of(rules: Any, guards: GuardForm) -> Terms:
    """Return what was written; both forms must be valid."""
    written = [form.rule for form in rules if not form.cleaned_data.get("DELETE")]
    said = guards.cleaned_data
    return Terms(
        rules=[rule for rule in written if rule is not None],
        cron=said["cron"],
        is_harbor=said["is_harbor"],
        keep_latest=said["keep_latest"],
        keep_pulled_days=said["keep_pulled_days"] or 0,
    )
