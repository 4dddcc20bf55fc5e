"""The system's settings, what everybody is told, and the gallery."""

import re

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import configuration, cve_allowlist, users
from accounts.models import AuditEntry
from accounts.principals import SYSTEM_ACTOR
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, text_of

PATH = "/admin/settings"
PAGES = (PATH, f"{PATH}/allowlist", f"{PATH}/building-blocks")
FORM = {
    "banner_message": "Moving house on Friday <b>",
    "project_creation_restriction": "adminonly",
    "quota_per_project_enable": "on",
    "storage_per_project": "5 GiB",
    "robot_token_duration": "",
}


def test_who_may_look(cast: Cast, signed_in: SignedIn) -> None:
    auditor = users.set_auditor(cast.carol, is_auditor=True, actor=SYSTEM_ACTOR)
    for path in PAGES:
        assert signed_in(cast.admin).get(path).status_code == 200
        assert signed_in(cast.alice).get(path).status_code == 403
        assert Client().get(path).status_code == 302
    for path in PAGES[:2]:
        assert signed_in(auditor).get(path).status_code == 200
        assert signed_in(auditor).post(path, FORM).status_code == 403


def test_settings_are_changed(cast: Cast, signed_in: SignedIn) -> None:
    answer = signed_in(cast.admin).post(PATH, FORM, follow=True)
    page = text_of(answer)
    assert "The settings are saved." in page
    assert "Moving house on Friday &lt;b&gt;</p>" in page
    assert 'value="5 GiB"' in page
    now = configuration.settings_now()
    assert now["project_creation_restriction"].value == "adminonly"
    assert now["storage_per_project"].value == 5 * 2**30
    assert now["robot_token_duration"].value == -1
    assert now["read_only"].value is False
    entry = AuditEntry.objects.get(action="update_configuration")
    assert "self_registration" not in entry.detail
    assert "Moving house on Friday" in text_of(Client().get("/account/sign-in"))


def test_a_bad_value_changes_nothing(cast: Cast, signed_in: SignedIn) -> None:
    answer = signed_in(cast.admin).post(PATH, {**FORM, "storage_per_project": "a lot"})
    assert answer.status_code == 422
    assert 'id="id_storage_per_project_error"' in text_of(answer)
    assert 'value="a lot"' in text_of(answer)
    assert configuration.value_of("banner_message") == ""


def test_what_the_environment_sets_stays(
    cast: Cast, signed_in: SignedIn, settings: Settings
) -> None:
    settings.MOORAGE_CONFIG = {"read_only": "true"}
    client = signed_in(cast.admin)
    page = text_of(client.get(PATH))
    assert re.search(r'name="read_only"[^>]*disabled', page)
    assert "Moorage is read-only at the moment" in page
    assert client.post(PATH, FORM).status_code == 302
    assert configuration.is_read_only()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{broken", "{broken"),
        ('{"message": "Harbor", "type": "danger"}', "Harbor"),
        ('{"message": "over", "toDate": "2020/01/01"}', ""),
        ('{"message": "later", "fromDate": "2999/01/01"}', ""),
        ('{"message": "now", "fromDate": "2020/01/01", "toDate": "2999/01/01"}', "now"),
        ('{"message": "odd", "fromDate": "2020/99/99"}', "odd"),
    ],
)
def test_the_banner(cast: Cast, text: str, shown: str) -> None:
    configuration.update({"banner_message": text}, actor=SYSTEM_ACTOR)
    page = text_of(Client().get("/account/sign-in"))
    found = re.findall(r'<div class="mo-note mo-note--(\w+) mb-3">.*?<p>([^<]*)</p>', page)
    assert [words for _tone, words in found] == ([shown] if shown else [])
    assert found == [] or found[0][0] == ("danger" if shown == "Harbor" else "info")


def test_the_systems_list_of_vulnerabilities(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    form = {"cve_ids": "CVE-2024-3094 CVE-2021-44228", "expires_at": "2999-12-31"}
    assert client.post(f"{PATH}/allowlist", form).status_code == 302
    assert cve_allowlist.of(None).cve_ids == ["CVE-2024-3094", "CVE-2021-44228"]
    assert 'value="2999-12-31"' in text_of(client.get(f"{PATH}/allowlist"))
    assert "CVE-2021-44228" in text_of(client.get("/p/team/-/settings/allowlist"))
    answer = client.post(f"{PATH}/allowlist", {"cve_ids": "not; one"})
    assert 'id="id_cve_ids_error"' in text_of(answer)
    assert len(cve_allowlist.of(None).cve_ids) == 2


def test_the_navigation_shows_what_one_may_open(cast: Cast, signed_in: SignedIn) -> None:
    for user, there, absent in (
        (cast.admin, ["/admin/settings", "/admin/users", "/jobs/", "/mirror"], []),
        (cast.bob, ["/mirror", "/search"], ["/admin/", "/jobs/"]),
        (None, ["/search", "/p/"], ["/admin/", "/mirror", "/jobs/"]),
    ):
        page = text_of(signed_in(user).get("/p/"))
        navigation = page.partition('class="mo-nav-in"')[2].partition("</nav>")[0]
        assert all(f'href="{path}' in navigation for path in there)
        assert not any(f'href="{path}' in navigation for path in absent)
        # Every place that is shown can be opened.
        for path in re.findall(r'mo-nav-link" href="([^"]+)"', navigation):
            assert signed_in(user).get(path).status_code == 200, path
