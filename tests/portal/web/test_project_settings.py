"""The pages on which a project is changed, renamed and deleted."""

import pytest
from django.test import Client

from accounts import cve_allowlist, projects
from accounts.models import AuditEntry, Project, ProjectAlias
from accounts.principals import SYSTEM_ACTOR
from accounts.projects import Changes
from registry_sync.models import ProjectUsage
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, text_of

BASE = "/p/team/-/settings"
PAGES = (BASE, f"{BASE}/allowlist", f"{BASE}/name", f"{BASE}/delete")
GIB = 2**30


def stored(project: Project) -> Project:
    """Return the project as it is in the database."""
    return Project.objects.get(pk=project.pk)


@pytest.mark.parametrize("path", PAGES)
def test_who_may_look(cast: Cast, signed_in: SignedIn, path: str) -> None:
    assert signed_in(cast.alice).get(path).status_code == 200
    assert signed_in(cast.admin).get(path).status_code == 200
    assert signed_in(cast.bob).get(path).status_code == 403
    assert signed_in(cast.mallory).get(path).status_code == 404
    assert Client().get(path).status_code == 302


@pytest.mark.parametrize("path", PAGES)
def test_a_developer_changes_nothing(cast: Cast, signed_in: SignedIn, path: str) -> None:
    form = {"is_public": "on", "trash_days": "1", "name": "mine", "confirmation": "team"}
    assert signed_in(cast.bob).post(path, form).status_code == 403
    assert stored(cast.team).updated_at == cast.team.updated_at


def test_switches_and_the_trash(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.alice)
    form = {"is_public": "on", "is_read_only": "on", "trash_days": "30"}
    answer = client.post(BASE, form, follow=True)
    assert "The settings are saved." in text_of(answer)
    team = stored(cast.team)
    assert (team.is_public, team.is_read_only, team.trash_days) == (True, True, 30)
    client.post(BASE, {"trash_days": "30"})
    assert not stored(cast.team).is_public
    entry = AuditEntry.objects.filter(action="update_project").latest("pk")
    assert (entry.actor_name, entry.detail) == (
        "alice",
        {"is_public": False, "is_read_only": False},
    )


@pytest.mark.parametrize("days", ["366", "-1", "", "x"])
def test_a_bad_number_of_days_keeps_the_input(cast: Cast, signed_in: SignedIn, days: str) -> None:
    answer = signed_in(cast.alice).post(BASE, {"is_public": "on", "trash_days": days})
    assert answer.status_code == 422
    page = text_of(answer)
    assert 'id="id_trash_days_error"' in page
    assert "checked" in page
    assert f'value="{days}"' in page or not days
    assert not stored(cast.team).is_public


def test_only_who_may_sets_the_limit(cast: Cast, signed_in: SignedIn) -> None:
    form = {"trash_days": "7", "storage_limit": "10 GiB"}
    signed_in(cast.alice).post(BASE, form)
    assert stored(cast.team).storage_limit == -1
    assert "storage_limit" not in text_of(signed_in(cast.alice).get(BASE))
    signed_in(cast.admin).post(BASE, form)
    assert stored(cast.team).storage_limit == 10 * GIB
    assert 'value="10 GiB"' in text_of(signed_in(cast.admin).get(BASE))
    signed_in(cast.admin).post(BASE, {"trash_days": "7", "storage_limit": ""})
    assert stored(cast.team).storage_limit == -1


def test_a_project_that_is_nearly_full_is_told_so(cast: Cast, signed_in: SignedIn) -> None:
    projects.update(cast.team, changes=Changes(storage_limit=100), actor=SYSTEM_ACTOR)
    usage, _made = ProjectUsage.objects.get_or_create(project=cast.team)
    for used, is_told in ((84, False), (85, True)):
        ProjectUsage.objects.filter(pk=usage.pk).update(used_bytes=used)
        page = text_of(signed_in(cast.alice).get(BASE))
        assert ("Pushes that go over the limit are refused" in page) == is_told


def test_the_own_list_of_vulnerabilities(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.alice)
    path = f"{BASE}/allowlist"
    form = {"source": "own", "cve_ids": "CVE-2024-3094\nGHSA-1 CVE-2024-3094", "expires_at": ""}
    assert client.post(path, form).status_code == 302
    own = cve_allowlist.effective(stored(cast.team))
    assert (own.project, own.cve_ids) == (cast.team, ["CVE-2024-3094", "GHSA-1"])
    entries = AuditEntry.objects.count()
    client.post(path, {**form, "cve_ids": "CVE-2024-3094 GHSA-1"})
    assert AuditEntry.objects.count() == entries
    client.post(path, {**form, "source": "system", "expires_at": "2030-01-31"})
    assert stored(cast.team).reuses_system_allowlist
    assert 'value="2030-01-31"' in text_of(client.get(path))


def test_a_bad_number_of_a_vulnerability_changes_nothing(cast: Cast, signed_in: SignedIn) -> None:
    form = {"source": "own", "cve_ids": "<script>", "expires_at": ""}
    answer = signed_in(cast.alice).post(f"{BASE}/allowlist", form)
    assert answer.status_code == 422
    assert 'id="id_cve_ids_error"' in text_of(answer)
    assert "&lt;script&gt;</textarea>" in text_of(answer)
    assert stored(cast.team).reuses_system_allowlist


def test_renaming(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.alice)
    answer = client.post(f"{BASE}/name", {"name": "crew", "alias_days": "5"})
    assert answer.headers["Location"] == "/p/crew/-/settings/name"
    alias = ProjectAlias.objects.get()
    assert (alias.name, alias.project_id) == ("team", cast.team.pk)
    page = text_of(client.get("/p/crew/-/settings/name"))
    assert "The project is called crew now." in page
    assert "<code>team</code>" in page


@pytest.mark.parametrize(
    ("name", "days", "field"),
    [("library", "5", "name"), ("Upper", "5", "name"), ("ok", "366", "alias_days")],
)
def test_a_bad_name_is_explained(
    cast: Cast, signed_in: SignedIn, name: str, days: str, field: str
) -> None:
    answer = signed_in(cast.alice).post(f"{BASE}/name", {"name": name, "alias_days": days})
    assert answer.status_code == 422
    assert f'id="id_{field}_error"' in text_of(answer)
    assert f'value="{name}"' in text_of(answer)
    assert stored(cast.team).name == "team"


def test_deleting_says_first_what_goes(cast: Cast, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team)
    image = make_image()
    for tag in ("1.0", "latest"):
        push_image(repository, image, tag)
    client = signed_in(cast.alice)
    page = text_of(client.get(f"{BASE}/delete"))
    assert "<dt>Repositories</dt><dd><b>1</b>" in page
    assert "<dt>Tags</dt><dd><b>2</b>" in page
    assert "3 people lose access" in page
    answer = client.post(f"{BASE}/delete", {"confirmation": "teem"})
    assert answer.status_code == 422
    assert 'value="teem"' in text_of(answer)
    assert stored(cast.team).deleted_at is None
    answer = client.post(f"{BASE}/delete", {"confirmation": "team"}, follow=True)
    assert "The project team is deleted." in text_of(answer)
    assert stored(cast.team).deleted_at is not None
    assert client.get("/p/team").status_code == 404


def test_the_audit_is_the_projects_alone(cast: Cast, signed_in: SignedIn) -> None:
    assert signed_in(cast.bob).get("/p/team/-/audit").status_code == 403
    assert signed_in(cast.mallory).get("/p/team/-/audit").status_code == 404
    page = text_of(signed_in(cast.alice).get("/p/team/-/audit"))
    assert "Project made" in page
    assert "Member added" in page
    assert "library" not in page


def test_a_refused_change_is_in_the_audit_once(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.bob)
    for _number in range(3):
        assert client.post(f"{BASE}/delete", {"confirmation": "team"}).status_code == 403
    client.get(f"{BASE}/delete")
    entry = AuditEntry.objects.get(outcome="denied")
    assert (entry.actor_name, entry.resource) == ("bob", f"{BASE}/delete")
    assert "lacks project:delete" in entry.detail["reason"]
    page = text_of(signed_in(cast.admin).get("/admin/audit", {"outcome": "denied"}))
    assert "Change on a page" in page


def test_tabs_lead_where_one_may_go(cast: Cast, signed_in: SignedIn) -> None:
    page = text_of(signed_in(cast.alice).get(f"{BASE}/name"))
    for path in (*PAGES, "/p/team/-/members", "/p/team/-/robots", "/p/team/-/labels"):
        assert f'href="{path}"' in page, path
        assert signed_in(cast.alice).get(path).status_code == 200
    page = text_of(signed_in(cast.bob).get("/p/team/-/members"))
    assert BASE not in page
    assert 'href="/p/team/-/activity"' in page
    page = text_of(Client().get("/p/library"))
    assert 'href="/p/library/-/overview"' in page
    assert "/-/settings" not in page
