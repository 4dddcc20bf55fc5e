"""What administrators set for the whole system: typed keys with defaults, in rows.

The names are those of Harbor's API. A key that a ``MOORAGE_CONFIG_…`` variable gives is locked;
one that the process is started with (the robots' prefix) can be read here and not changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit, outbox, statements
from accounts.errors import BadRequest
from accounts.models import Configuration
from accounts.principals import Actor
from accounts.statements import Statement

Value = bool | int | str

EVERYONE = "everyone"
ADMINISTRATORS = "adminonly"
_MAX_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its default fixes its type."""

    default: Value
    choices: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int = _MAX_INTEGER
    max_length: int = 1024


@dataclass(frozen=True, slots=True)
class Setting:
    """A key's present value, and whether it can be changed here."""

    value: Value
    is_editable: bool


KEYS: dict[str, Key] = {
    "self_registration": Key(default=False),
    "project_creation_restriction": Key(default=EVERYONE, choices=(EVERYONE, ADMINISTRATORS)),
    "quota_per_project_enable": Key(default=True),
    "storage_per_project": Key(default=-1, minimum=-1),
    "robot_token_duration": Key(default=30, minimum=-1, maximum=36500),
    "banner_message": Key(default="", max_length=4096),
    "read_only": Key(default=False),
}


def settings_now() -> dict[str, Setting]:
    """Return every key with its present value, in one query."""
    stored = dict(Configuration.objects.values_list("key", "value"))
    locked = _locked()
    found = {
        name: Setting(locked.get(name, stored.get(name, key.default)), name not in locked)
        for name, key in KEYS.items()
    }
    fixed = {name: Setting(value, is_editable=False) for name, value in _fixed().items()}
    return {**found, **fixed}


def _fixed() -> dict[str, Value]:
    """What the process was started with."""
    return {
        "auth_mode": "db_auth",
        "robot_name_prefix": settings.MOORAGE_ROBOT_PREFIX,
        "token_expiration": settings.MOORAGE_PUSH_TOKEN_SECONDS // 60,
        "session_timeout": settings.SESSION_COOKIE_AGE // 60,
    }


def _locked() -> dict[str, Value]:
    return locked_values(getattr(settings, "MOORAGE_CONFIG", {}))


def locked_values(given: Mapping[str, str]) -> dict[str, Value]:
    """Read what the environment gives. Raises ``ImproperlyConfigured``."""
    found: dict[str, Value] = {}
    for name, text in given.items():
        key = KEYS.get(name)
        if key is None:
            raise ImproperlyConfigured(f"There is no setting MOORAGE_CONFIG_{name.upper()}.")
        try:
            value = text if isinstance(key.default, str) else json.loads(text.lower())
            found[name] = _checked(name, key, value)
        except (ValueError, BadRequest) as error:
            raise ImproperlyConfigured(
                f"MOORAGE_CONFIG_{name.upper()} cannot be {text!r}: {error}"
            ) from error
    return found


def value_of(name: str) -> Value:
    """Return one key's present value."""
    locked = _locked()
    if name in locked:
        return locked[name]
    rows = statements.run(Statement(_VALUE, [name]))
    return json.loads(rows[0][0]) if rows else KEYS[name].default


def values_of(*names: str) -> dict[str, Value]:
    """Return several keys' present values, in one query."""
    stored = dict(Configuration.objects.filter(key__in=names).values_list("key", "value"))
    locked = _locked()
    return {name: locked.get(name, stored.get(name, KEYS[name].default)) for name in names}


# By hand: every push asks it.
_VALUE = "SELECT value FROM accounts_configuration WHERE key = %s"


def is_read_only() -> bool:
    """Whether nothing may be pushed or deleted anywhere."""
    return value_of("read_only") is True


def may_everyone_create_projects() -> bool:
    """Whether others than administrators may make projects."""
    return value_of("project_creation_restriction") == EVERYONE


def may_register() -> bool:
    """Whether a stranger may make an account."""
    return value_of("self_registration") is True


def is_quota_enforced() -> bool:
    """Whether storage limits of projects hold."""
    return value_of("quota_per_project_enable") is True


def default_storage_limit() -> int:
    """Bytes that a new project may use, -1 for no limit."""
    return int(value_of("storage_per_project"))


def default_robot_days() -> int | None:
    """Days that a robot lives unless its maker says otherwise, ``None`` for ever."""
    days = int(value_of("robot_token_duration"))
    return days if days > 0 else None


@transaction.atomic
def update(values: Mapping[str, Any], *, actor: Actor) -> dict[str, Setting]:
    """Change the keys that are named; all of them or none.

    A value that is the present one is accepted for any key. Raises ``BadRequest`` (with
    ``field``) for a key that is unknown, locked or fixed, and for a value that does not fit.
    """
    before = settings_now()
    changed: dict[str, Value] = {}
    for name, value in values.items():
        present = before.get(name)
        if present is None:
            raise BadRequest(
                _("%(key)s is not a setting of Moorage.") % {"key": name[:64]}, field=name
            )
        if value == present.value and type(value) is type(present.value):
            continue
        if not present.is_editable:
            raise BadRequest(
                _("%(key)s is set where Moorage is started and cannot be changed here.")
                % {"key": name},
                field=name,
            )
        changed[name] = _checked(name, KEYS[name], value)
    for name, value in changed.items():
        Configuration.objects.update_or_create(key=name, defaults={"value": value})
    if changed:
        detail = {name: [before[name].value, value] for name, value in changed.items()}
        audit.record(actor, "update_configuration", "configuration", detail=detail)
        outbox.emit("configuration.updated", "configuration", keys=sorted(changed))
    return settings_now()


def _checked(name: str, key: Key, value: Any) -> Value:
    if type(value) is not type(key.default):
        kinds = {bool: _("true or false"), int: _("a whole number"), str: _("a text")}
        message = _("%(key)s must be %(kind)s.") % {"key": name, "kind": kinds[type(key.default)]}
        raise BadRequest(message, field=name)
    if isinstance(value, str):
        _require_text(name, key, value)
    elif not isinstance(value, bool) and not _is_within(key, value):
        raise BadRequest(
            _("%(key)s must be from %(min)d to %(max)d.")
            % {"key": name, "min": key.minimum, "max": key.maximum},
            field=name,
        )
    checked: Value = value
    return checked


def _is_within(key: Key, value: int) -> bool:
    # Where -1 means "none", 0 would mean "nothing", which nobody wants.
    return key.minimum <= value <= key.maximum and not (key.minimum == -1 and value == 0)


def _require_text(name: str, key: Key, value: str) -> None:
    if key.choices and value not in key.choices:
        raise BadRequest(
            _("%(key)s must be one of: %(choices)s.")
            % {"key": name, "choices": ", ".join(key.choices)},
            field=name,
        )
    if len(value) > key.max_length or "\0" in value:
        raise BadRequest(
            _("%(key)s must be a text of at most %(max)d characters.")
            % {"key": name, "max": key.max_length},
            field=name,
        )
