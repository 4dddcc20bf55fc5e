"""The form of a robot, and its rights as people choose and read them."""

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Robot
from accounts.robots import MAX_DAYS

_PULL = (
    "repository:pull",
    "repository:list",
    "repository:read",
    "artifact:list",
    "artifact:read",
    "tag:list",
)
# What each choice stands for. A push asks what is there already, so it cannot do without pulling.
RIGHTS: dict[str, tuple[str, ...]] = {
    "pull": _PULL,
    "push": (*_PULL, "repository:push"),
    "delete": ("artifact:delete", "tag:delete", "repository:delete"),
}
# The action by which a robot, however it was made, is known to have a right.
_TELLING = {"pull": "repository:pull", "push": "repository:push", "delete": "artifact:delete"}
_WORDS: dict[str, str | Promise] = {
    "pull": _("Pull images"),
    "push": _("Push images"),
    "delete": _("Delete images"),
}
_CHOICES = [
    ("pull", _("Pull images, and list what is there")),
    ("push", _("Push images, and pull them")),
    ("delete", _("Delete images, tags and whole repositories")),
]


def rights_of(robot: Robot) -> tuple[list[tuple[str, str | Promise, bool]], list[str]]:
    """Return each right with its words and whether it is given, then all other actions."""
    given = {grant.action for grant in robot.grants.all()}
    rights = [(name, words, _TELLING[name] in given) for name, words in _WORDS.items()]
    said = {action for name, _words, has in rights if has for action in RIGHTS[name]}
    return rights, sorted(given - said)


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
    """A new robot of a project."""

    name = forms.CharField(
        label=_("Name"),
        max_length=255,
        help_text=_("What it is for, for example ci. It signs in with the project's name before."),
        widget=forms.TextInput(attrs=_plain()),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=1024,
        required=False,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    rights = forms.MultipleChoiceField(
        label=_("It may"),
        choices=_CHOICES,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
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
        help_text=_("Empty: never."),
        widget=forms.NumberInput(attrs={"class": "form-control", "inputmode": "numeric"}),
    )
