"""The page of a project's members."""

import re

from django.test import Client

from accounts import members, projects
from accounts.models import ProjectMember
from accounts.principals import SYSTEM_ACTOR
from accounts.roles import Role
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, text_of

PATH = "/p/team/-/members"


def role_of(cast: Cast, username: str) -> Role | None:
    """Return somebody's role in ``team``."""
    member = ProjectMember.objects.filter(project=cast.team, user__username=username).first()
    return Role(member.role) if member else None


def test_an_administrator_adds_changes_and_removes(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.alice)
    assert client.post(PATH, {"username": "Mallory", "role": "3"}).status_code == 302
    assert role_of(cast, "mallory") == Role.GUEST
    member = ProjectMember.objects.get(project=cast.team, user=cast.mallory)
    client.post(f"{PATH}/{member.pk}", {"role": "4"})
    assert role_of(cast, "mallory") == Role.MAINTAINER
    client.post(f"{PATH}/{member.pk}", {"remove": "1"})
    assert role_of(cast, "mallory") is None


def offered(client: Client) -> list[str]:
    """Return the names that the page proposes."""
    return re.findall(r'<option value="([a-z]+)">', text_of(client.get(PATH)))


def test_who_is_known_anyhow_is_proposed(cast: Cast, signed_in: SignedIn) -> None:
    assert offered(signed_in(cast.alice)) == []
    assert {"alice", "bob", "carol"}.isdisjoint(offered(signed_in(cast.admin)))
    assert "mallory" in offered(signed_in(cast.admin))
    other = projects.create(name="other", owner=cast.mallory, actor=SYSTEM_ACTOR)
    shared = members.add(other, user=cast.alice, role=Role.GUEST, actor=SYSTEM_ACTOR)
    assert offered(signed_in(cast.alice)) == ["mallory"]
    # Who may not list the members there does not learn of them here.
    members.change_role(shared, role=Role.LIMITED_GUEST, actor=SYSTEM_ACTOR)
    assert offered(signed_in(cast.alice)) == []
    assert offered(signed_in(cast.bob)) == []


def test_a_member_only_reads(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.bob)
    page = text_of(client.get(PATH))
    assert "carol" in page
    assert "Add a member" not in page
    assert client.post(PATH, {"username": "mallory", "role": "3"}).status_code == 403
    member = ProjectMember.objects.get(project=cast.team, user=cast.carol)
    assert client.post(f"{PATH}/{member.pk}", {"remove": "1"}).status_code == 403


def test_an_outsider_finds_nothing(cast: Cast, signed_in: SignedIn) -> None:
    assert signed_in(cast.mallory).get(PATH).status_code == 404
    assert signed_in(cast.mallory).get("/p/library/-/members").status_code == 403


def test_the_last_administrator_stays(cast: Cast, signed_in: SignedIn) -> None:
    member = ProjectMember.objects.get(project=cast.team, user=cast.alice)
    answer = signed_in(cast.alice).post(f"{PATH}/{member.pk}", {"remove": "1"})
    assert answer.status_code == 422
    assert "last administrator" in text_of(answer)


def test_an_unknown_user_is_told(cast: Cast, signed_in: SignedIn) -> None:
    answer = signed_in(cast.alice).post(PATH, {"username": "nobody", "role": "3"})
    assert answer.status_code == 422
    assert "There is no user of this name." in text_of(answer)
