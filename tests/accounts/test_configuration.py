"""The system's settings: typed, locked by the environment, all or nothing."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts import configuration
from accounts.errors import BadRequest
from accounts.models import AuditEntry, Configuration
from accounts.principals import SYSTEM_ACTOR

pytestmark = pytest.mark.django_db


def change(**values: Any) -> dict[str, configuration.Setting]:
    return configuration.update(values, actor=SYSTEM_ACTOR)


def test_defaults() -> None:
    now = configuration.settings_now()
    assert now["project_creation_restriction"].value == "everyone"
    assert now["storage_per_project"] == configuration.Setting(-1, is_editable=True)
    assert now["robot_name_prefix"] == configuration.Setting("robot+", is_editable=False)
    assert not configuration.is_read_only()
    assert configuration.may_everyone_create_projects()
    assert configuration.default_robot_days() == 30
    assert configuration.default_storage_limit() == -1
    assert configuration.is_quota_enforced()
    assert not configuration.may_register()


def test_a_change_holds_and_is_in_the_audit() -> None:
    now = change(read_only=True, storage_per_project=1000, robot_token_duration=-1)
    assert now["read_only"].value is True
    assert configuration.is_read_only()
    assert configuration.default_robot_days() is None
    entry = AuditEntry.objects.get(action="update_configuration")
    assert entry.detail["storage_per_project"] == [-1, 1000]


def test_the_present_value_is_no_change() -> None:
    change(read_only=False, robot_name_prefix="robot+", auth_mode="db_auth")
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"nonsense": 1}, "not a setting"),
        ({"skip_audit_log_database": True}, "not a setting"),
        ({"robot_name_prefix": "bot$"}, "set where Moorage is started"),
        ({"read_only": "true"}, "true or false"),
        ({"read_only": 1}, "true or false"),
        ({"read_only": None}, "true or false"),
        ({"storage_per_project": True}, "a whole number"),
        ({"storage_per_project": -2}, "from -1"),
        ({"storage_per_project": 0}, "from -1"),
        ({"storage_per_project": 2**63}, "from -1"),
        ({"robot_token_duration": 0}, "from -1"),
        ({"project_creation_restriction": "nobody"}, "everyone, adminonly"),
        ({"banner_message": "x" * 4097}, "at most 4096"),
        ({"banner_message": "a\0b"}, "at most 4096"),
    ],
)
def test_what_does_not_fit_changes_nothing(values: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        change(self_registration=True, **values)
    assert not Configuration.objects.exists()


def test_the_environment_locks(settings: Any) -> None:
    settings.MOORAGE_CONFIG = {"read_only": "True", "storage_per_project": "5000"}
    now = configuration.settings_now()
    assert now["read_only"] == configuration.Setting(True, is_editable=False)  # noqa: FBT003
    assert configuration.is_read_only()
    assert configuration.default_storage_limit() == 5000
    with pytest.raises(BadRequest, match="set where Moorage is started"):
        change(read_only=False)


@pytest.mark.parametrize("given", [{"no_such": "1"}, {"read_only": "maybe"}, {"read_only": "3"}])
def test_an_environment_that_means_nothing_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ImproperlyConfigured):
        configuration.locked_values(given)
