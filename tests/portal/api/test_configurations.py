"""/configurations, /quotas, /systeminfo and /system/CVEAllowlist, and that they do something."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.errors import Denied
from accounts.models import OutboxEvent, Project
from registry_sync.models import ProjectUsage
from tests.factories import make_image, make_repository, push_image
from tests.portal.api.conftest import Caller, error_of, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]


def configure(caller: Callers, **values: Any) -> None:
    response = caller("admin").call("PUT", "configurations", values)
    assert response.status_code == 200, response.content


class TestConfigurations:
    def test_shown_with_whether_it_can_be_changed(self, caller: Callers) -> None:
        shown = told(caller("admin").get("configurations"))
        assert shown["project_creation_restriction"] == {"value": "everyone", "editable": True}
        assert shown["robot_name_prefix"] == {"value": "robot+", "editable": False}

    def test_null_is_nothing(self, caller: Callers) -> None:
        configure(caller, read_only=None, ldap_url=None, self_registration=True)
        assert told(caller("admin").get("configurations"))["self_registration"]["value"] is True

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"ldap_url": "ldap://x"}, "ldap_url"),
            ({"skip_audit_log_database": True}, "skip_audit"),
            ({"read_only": "yes"}, "true or false"),
            ([1], "object"),
        ],
    )
    def test_what_would_do_nothing_is_refused(
        self, caller: Callers, body: object, words: str
    ) -> None:
        response = caller("admin").call("PUT", "configurations", body)
        assert response.status_code == 400
        assert words in error_of(response)[1]

    def test_read_only_stops_pushes(self, caller: Callers, team: Project) -> None:
        configure(caller, read_only=True)
        with pytest.raises(Denied, match="read-only"):
            push_image(make_repository(team))
        configure(caller, read_only=False)
        push_image(make_repository(team, "other"))

    def test_projects_by_administrators_only(self, caller: Callers) -> None:
        configure(caller, project_creation_restriction="adminonly")
        assert caller("bob").post("projects", {"project_name": "mine"}).status_code == 403
        assert caller("admin").post("projects", {"project_name": "mine"}).status_code == 201

    def test_a_new_project_gets_the_default_limit(self, caller: Callers) -> None:
        configure(caller, storage_per_project=12345)
        caller("bob").post("projects", {"project_name": "mine"})
        assert Project.objects.get(name="mine").storage_limit == 12345


class TestQuotas:
    def test_the_contracts_fields(self, caller: Callers, team: Project) -> None:
        push_image(make_repository(team), make_image("x"))
        shown = told(caller("admin").get(f"quotas/{team.pk}"))
        assert shown.pop("creation_time")
        assert shown.pop("update_time")
        assert shown == {
            "id": team.pk,
            "ref": {"id": team.pk, "name": "team", "owner_name": "alice"},
            "hard": {"storage": -1},
            "used": {"storage": make_image("x").size},
        }

    def test_listing(self, caller: Callers, team: Project) -> None:
        push_image(make_repository(team))
        shown = told(caller("admin").get("quotas?sort=-used.storage"))
        assert [quota["ref"]["name"] for quota in shown] == ["team", "library"]
        one = told(caller("admin").get(f"quotas?reference=project&reference_id={team.pk}"))
        assert len(one) == 1
        for strange in ("reference=user", "reference_id=x", "sort=owner__password"):
            assert caller("admin").get(f"quotas?{strange}").status_code == 400

    def test_setting_a_limit(self, caller: Callers, team: Project) -> None:
        path = f"quotas/{team.pk}"
        body = {"hard": {"storage": 10}}
        assert caller("alice").call("PUT", path, body).status_code == 403
        assert caller("admin").call("PUT", path, body).status_code == 200
        with pytest.raises(Denied, match="limit"):
            push_image(make_repository(team))
        configure(caller, quota_per_project_enable=False)
        push_image(make_repository(team, "other"))

    @pytest.mark.parametrize("hard", [{}, {"storage": 0}, {"storage": -2}, {"storage": "x"}, None])
    def test_what_means_nothing(self, caller: Callers, team: Project, hard: object) -> None:
        response = caller("admin").call("PUT", f"quotas/{team.pk}", {"hard": hard})
        assert response.status_code == 400

    def test_a_warning_once_when_it_fills(self, team: Project) -> None:
        sizes = [make_image(word).size for word in ("a", "b", "c")]
        Project.objects.filter(pk=team.pk).update(storage_limit=sum(sizes[:2]) * 100 // 86)
        for path, word, count in (("r1", "a", 0), ("r2", "b", 1), ("r3", "b", 1)):
            push_image(make_repository(team, path), make_image(word))
            assert OutboxEvent.objects.filter(kind="quota.warning").count() == count
        payload = OutboxEvent.objects.get(kind="quota.warning").payload
        assert payload["used"] == ProjectUsage.objects.get().used_bytes
        with pytest.raises(Denied):
            push_image(make_repository(team, "rc"), make_image("c"))


class TestSystemInfo:
    def test_strangers_are_told_less(self, caller: Callers) -> None:
        configure(caller, banner_message="tonight")
        stranger = told(caller("").get("systeminfo"))
        member = told(caller("bob").get("systeminfo"))
        assert stranger["banner_message"] == "tonight"
        assert stranger["harbor_version"].startswith("v2.")
        assert "read_only" not in stranger
        assert member["read_only"] is False
        assert member["has_ca_root"] is False

    def test_volumes(self, caller: Callers) -> None:
        (storage,) = told(caller("admin").get("systeminfo/volumes"))["storage"]
        assert 0 <= storage["free"] <= storage["total"]

    def test_a_bucket_has_no_size(self, caller: Callers, settings: Any) -> None:
        settings.MOORAGE_S3_BUCKET = "somewhere"
        assert caller("admin").get("systeminfo/volumes").status_code == 404
        shown = told(caller("admin").get("systeminfo"))
        assert shown["registry_storage_provider_name"] == "s3"

    def test_a_certificate(self, caller: Callers, settings: Any, tmp_path: Any) -> None:
        settings.MOORAGE_HOME = tmp_path
        (tmp_path / "ca.crt").write_bytes(b"certificate")
        response = caller("").get("systeminfo/getcert")
        assert response.content == b"certificate"
        assert told(caller("").get("systeminfo"))["has_ca_root"] is True


class TestAllowlist:
    def test_saved_and_shown(self, caller: Callers) -> None:
        assert told(caller("bob").get("system/CVEAllowlist")) == {"project_id": 0, "items": []}
        body = {
            "items": [{"cve_id": "CVE-2024-3094"}, {"cve_id": "CVE-2024-3094"}],
            "expires_at": 2000000000,
        }
        for _ in range(2):
            assert caller("admin").call("PUT", "system/CVEAllowlist", body).status_code == 200
        shown = told(caller("bob").get("system/CVEAllowlist"))
        assert shown["items"] == [{"cve_id": "CVE-2024-3094"}]
        assert shown["expires_at"] == 2000000000

    @pytest.mark.parametrize(
        "body",
        [
            {"items": [{"cve_id": "<script>"}]},
            {"items": [{}]},
            {"items": [None]},
            {"expires_at": 10**18},
        ],
    )
    def test_what_means_nothing(self, caller: Callers, body: dict[str, Any]) -> None:
        assert caller("admin").call("PUT", "system/CVEAllowlist", body).status_code == 400
