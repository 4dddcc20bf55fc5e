"""The form of a robot, apart from its rights."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.robots import MAX_DAYS


class WordsField(forms.CharField):
    """Several values, separated by spaces or lines."""

    def clean(self, value: object) -> list[str]:
        """Return the values, each once."""
        return list(dict.fromkeys(str(super().clean(value)).split()))


def _plain(**attributes: str) -> dict[str, str]:
    return {
        "class": "form-control",
        "autocomplete": "off",
        "autocapitalize": "none",
        "spellcheck": "false",
        **attributes,
    }


class RobotForm(forms.Form):
    """What is chosen of a robot when it is made or changed."""

    name = forms.CharField(
        label=_("Name"),
        max_length=255,
        help_text=_("What it is for, for example ci."),
        widget=forms.TextInput(attrs=_plain()),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=1024,
        required=False,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    patterns = WordsField(
        label=_("Tags it may push"),
        max_length=4096,
        required=False,
        help_text=_("Patterns such as pr-* or v1.?, separated by spaces. Empty: any tag."),
        widget=forms.TextInput(attrs=_plain()),
    )
    networks = WordsField(
        label=_("Networks it may come from"),
        max_length=4096,
        required=False,
        help_text=_("For example 10.0.0.0/8, separated by spaces. Empty: from anywhere."),
        widget=forms.TextInput(attrs=_plain()),
    )
    days = forms.IntegerField(
        label=_("Expires after, in days"),
        min_value=1,
        max_value=MAX_DAYS,
        required=False,
        help_text=_("Counted from the day it was made. Empty: never."),
        widget=forms.NumberInput(attrs={"class": "form-control", "inputmode": "numeric"}),
    )
