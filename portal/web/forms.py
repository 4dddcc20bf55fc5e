"""The forms of the pages; they check shape, the domain's functions check rules."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.errors import BadRequest, Conflict


class SignInForm(forms.Form):
    """A local account's name and password."""

    username = forms.CharField(
        label=_("Username"),
        max_length=255,
        widget=forms.TextInput(
            attrs={
                "class": "form-control",
                "autocomplete": "username",
                "autocapitalize": "none",
                "spellcheck": "false",
            }
        ),
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(
            attrs={"class": "form-control", "autocomplete": "current-password"}
        ),
    )


class ProjectForm(forms.Form):
    """A new project."""

    name = forms.CharField(
        label=_("Name"),
        max_length=255,
        help_text=_(
            "Lower-case letters and digits, separated by single dots, dashes or underscores. "
            "It becomes part of every image's name."
        ),
        widget=forms.TextInput(
            attrs={
                "class": "form-control",
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
            }
        ),
    )
    is_public = forms.BooleanField(
        label=_("Public"),
        required=False,
        help_text=_("Anyone who reaches this registry may pull, without signing in."),
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )

    def tell(self, error: BadRequest | Conflict) -> None:
        """Show the domain's error beside what it is about."""
        self.add_error(error.field if error.field in self.fields else None, str(error))
