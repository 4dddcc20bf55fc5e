"""People who can sign in."""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.fields import ByteOrderedCharField

# Lower case only, so that two names never look alike by case; no character that has a meaning in
# a token scope, a URL or a robot's name.
USERNAME_PATTERN = r"^[a-z0-9](?:[a-z0-9._-]{0,253}[a-z0-9])?\Z"


class UserManager(BaseUserManager["User"]):
    """Looks users up by name; they are made by ``accounts.users.create`` alone."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user of that name (lower-cased)."""
        return self.get(username=(username or "").lower())


class User(AbstractBaseUser):
    """A person.

    Both epochs are in every registry token, so raising one voids those made before; ``auth_epoch``
    is in every browser session too, ``rights_epoch`` only follows what the person may do.
    """

    class DateFormat(models.TextChoices):
        AGO = "", _("How long ago: 3 hours ago")
        YEAR_FIRST = "iso", _("Year first: 2026-11-24 13:40")
        DAY_FIRST = "day", _("Day first: 24/11/2026 13:40")
        MONTH_FIRST = "month", _("Month first: 11/24/2026 1:40 p.m.")
        WORDS = "words", _("In words, as the language has it")

    class Client(models.TextChoices):
        DOCKER = "", "docker"
        PODMAN = "podman", "podman"
        NERDCTL = "nerdctl", "nerdctl"

    username = ByteOrderedCharField(
        _("Username"),
        max_length=255,
        unique=True,
        validators=[
            RegexValidator(
                USERNAME_PATTERN,
                _(
                    "Use lower-case letters, digits, dots, dashes and underscores; "
                    "begin and end with a letter or digit."
                ),
            )
        ],
    )
    email = models.EmailField(_("E-mail"), max_length=255, blank=True)
    realname = models.CharField(_("Full name"), max_length=255, blank=True)
    comment = models.CharField(_("Comment"), max_length=255, blank=True)
    is_administrator = models.BooleanField(_("Administrator"), default=False)
    # Reads everything, changes nothing, sees no secret.
    is_auditor = models.BooleanField(_("Auditor"), default=False)
    is_active = models.BooleanField(_("Active"), default=True)
    auth_epoch = models.PositiveIntegerField(default=1, editable=False)
    # The database knows the default too: the version before this one adds users without it.
    rights_epoch = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    # How they want their pages. The database knows the defaults too, as above.
    time_zone = models.CharField(
        _("Time zone"), max_length=64, blank=True, default="", db_default=""
    )
    date_format = models.CharField(
        _("Dates"), max_length=8, choices=DateFormat, blank=True, default="", db_default=""
    )
    client = models.CharField(
        _("Client"), max_length=16, choices=Client, blank=True, default="", db_default=""
    )
    has_shortcuts = models.BooleanField(_("Keyboard shortcuts"), default=True, db_default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        ordering = ["username"]
        constraints = [
            models.UniqueConstraint(
                fields=["email"],
                condition=~models.Q(email=""),
                name="user_email_unique",
                violation_error_message=_("Another user has this e-mail address."),
            )
        ]

    def __str__(self) -> str:
        return self.username

    @property
    def display_name(self) -> str:
        """The full name where there is one, else the username."""
        return self.realname or self.username
