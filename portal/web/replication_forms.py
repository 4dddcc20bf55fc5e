"""The form of a replication policy."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from registry_sync.models import RemoteRegistry, ReplicationPolicy
from registry_sync.replication.policies import Terms

_TEXT = {
    "class": "form-control",
    "autocomplete": "off",
    "autocapitalize": "none",
    "spellcheck": "false",
}
_SELECT = {"class": "form-select"}
_SWITCH = {"class": "form-check-input"}
_REPLACED = (
    (-1, gettext_lazy("all but the last component")),
    (0, gettext_lazy("none: it is put in front")),
    (1, gettext_lazy("the first component")),
    (2, gettext_lazy("the first two components")),
    (3, gettext_lazy("the first three components")),
)
_RESOURCES = (
    ("", gettext_lazy("everything")),
    ("image", gettext_lazy("images only")),
    ("artifact", gettext_lazy("what is no image: charts, models, others")),
)
_PUSH, _PULL = "push", "pull"
_DIRECTIONS = (
    (_PUSH, gettext_lazy("from here to the other registry")),
    (_PULL, gettext_lazy("from the other registry to here")),
)
_TRIGGERS = (
    ("manual", gettext_lazy("by hand only")),
    ("scheduled", gettext_lazy("by schedule")),
    ("event_based", gettext_lazy("at each push")),
)
# Fields of the contract's filters and errors, by the names of the form's.
FIELDS = {
    "dest_namespace": "namespace",
    "dest_namespace_replace_count": "replaced_components",
    "speed": "speed_limit",
    "replicate_deletion": "is_deleting",
    "filters": "labels",
}


class PolicyForm(forms.Form):
    """What is copied where, and when."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=128, widget=forms.TextInput(attrs=_TEXT)
    )
    direction = forms.ChoiceField(
        label=gettext_lazy("Direction"),
        choices=_DIRECTIONS,
        widget=forms.Select(attrs=_SELECT),
    )
    remote = forms.ModelChoiceField(
        label=gettext_lazy("Other registry"),
        queryset=RemoteRegistry.objects.order_by("name"),
        widget=forms.Select(attrs=_SELECT),
    )
    repositories = forms.CharField(
        label=gettext_lazy("Repositories"),
        max_length=255,
        required=False,
        help_text=gettext_lazy("A pattern such as team/** or {team,library}/*; empty: all."),
        widget=forms.TextInput(attrs=_TEXT),
    )
    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        max_length=255,
        required=False,
        help_text=gettext_lazy("A pattern such as v* or {latest,stable}; empty: all."),
        widget=forms.TextInput(attrs=_TEXT),
    )
    is_tag_excluded = forms.BooleanField(
        label=gettext_lazy("All tags but these"),
        required=False,
        widget=forms.CheckboxInput(attrs=_SWITCH),
    )
    resource = forms.ChoiceField(
        label=gettext_lazy("What"),
        choices=_RESOURCES,
        required=False,
        widget=forms.Select(attrs=_SELECT),
    )
    labels = forms.CharField(
        label=gettext_lazy("Labels"),
        max_length=1024,
        required=False,
        help_text=gettext_lazy("Names with commas between; an image has all of them. Empty: any."),
        widget=forms.TextInput(attrs=_TEXT),
    )
    are_labels_excluded = forms.BooleanField(
        label=gettext_lazy("All images but those with these labels"),
        required=False,
        widget=forms.CheckboxInput(attrs=_SWITCH),
    )
    namespace = forms.CharField(
        label=gettext_lazy("Namespace at the destination"),
        max_length=255,
        required=False,
        help_text=gettext_lazy(
            "Empty: repositories keep their names. Here it begins with a project, which is made "
            "where it is missing."
        ),
        widget=forms.TextInput(attrs=_TEXT),
    )
    replaced_components = forms.TypedChoiceField(
        label=gettext_lazy("It takes the place of"),
        coerce=int,
        choices=_REPLACED,
        initial=-1,
        widget=forms.Select(attrs=_SELECT),
    )
    trigger = forms.ChoiceField(
        label=gettext_lazy("When"),
        choices=_TRIGGERS,
        initial="manual",
        help_text=gettext_lazy("At each push only what is copied from here."),
        widget=forms.Select(attrs=_SELECT),
    )
    cron = forms.CharField(
        label=gettext_lazy("Schedule"),
        max_length=128,
        required=False,
        help_text=gettext_lazy(
            "Six fields: second, minute, hour, day, month, weekday. 0 0 3 * * * is every night at "
            "three."
        ),
        widget=forms.TextInput(attrs=_TEXT),
    )
    speed_limit = forms.IntegerField(
        label=gettext_lazy("Speed limit in KiB a second"),
        min_value=0,
        initial=0,
        help_text=gettext_lazy("For each image; 0 is as fast as it goes."),
        widget=forms.NumberInput(attrs={"class": "form-control", "inputmode": "numeric"}),
    )
    is_overriding = forms.BooleanField(
        label=gettext_lazy("Move tags that point elsewhere at the destination"),
        required=False,
        initial=True,
        widget=forms.CheckboxInput(attrs=_SWITCH),
    )
    is_deleting = forms.BooleanField(
        label=gettext_lazy("Delete there what is deleted here"),
        required=False,
        help_text=gettext_lazy(
            "Only tags that this policy put there and nobody moved since; at each push only. A "
            "Moorage keeps them in its trash."
        ),
        widget=forms.CheckboxInput(attrs=_SWITCH),
    )
    is_chunked = forms.BooleanField(
        label=gettext_lazy("Send large layers in pieces of 10 MiB"),
        required=False,
        help_text=gettext_lazy("A piece that breaks off costs less; not every registry takes it."),
        widget=forms.CheckboxInput(attrs=_SWITCH),
    )
    is_enabled = forms.BooleanField(
        label=gettext_lazy("Enabled"),
        required=False,
        initial=True,
        widget=forms.CheckboxInput(attrs=_SWITCH),
    )

    def terms(self, kept: ReplicationPolicy | None) -> Terms:
        """Return what was chosen; what the form does not show stays as the API set it."""
        given = self.cleaned_data
        decoration = "excludes" if given["is_tag_excluded"] else "matches"
        labels = [name for name in map(str.strip, given["labels"].split(",")) if name]
        label_decoration = "excludes" if given["are_labels_excluded"] else "matches"
        found = [
            {"type": "label", "value": labels, "decoration": label_decoration},
            {"type": "name", "value": given["repositories"].strip()},
            {"type": "tag", "value": given["tags"].strip(), "decoration": decoration},
            {"type": "resource", "value": given["resource"]},
        ]
        cron = " ".join(given["cron"].split())
        return Terms(
            name=given["name"],
            remote=given["remote"],
            is_pull=given["direction"] == _PULL,
            description=kept.description if kept else "",
            filters=tuple(found),
            namespace=given["namespace"].strip(),
            replaced_components=given["replaced_components"],
            trigger=given["trigger"],
            cron=cron,
            is_enabled=given["is_enabled"],
            is_overriding=given["is_overriding"],
            is_deleting=given["is_deleting"],
            is_chunked=given["is_chunked"],
            speed_limit=given["speed_limit"],
        )


def initial_of(policy: ReplicationPolicy) -> dict[str, Any]:
    """Return a policy as the form shows it."""
    names = (
        "name",
        "remote",
        "namespace",
        "replaced_components",
        "trigger",
        "cron",
        "speed_limit",
        "is_overriding",
        "is_deleting",
        "is_chunked",
        "is_enabled",
    )
    stored = {entry["type"]: entry for entry in policy.filters}
    return {name: getattr(policy, name) for name in names} | {
        "direction": _PULL if policy.is_pull else _PUSH,
        "repositories": stored.get("name", {}).get("value", ""),
        "tags": stored.get("tag", {}).get("value", ""),
        "is_tag_excluded": stored.get("tag", {}).get("decoration") == "excludes",
        "resource": stored.get("resource", {}).get("value", ""),
        "labels": ", ".join(stored.get("label", {}).get("value", ())),
        "are_labels_excluded": stored.get("label", {}).get("decoration") == "excludes",
    }
