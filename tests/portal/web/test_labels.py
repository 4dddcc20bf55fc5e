"""The pages of labels."""

import pytest
from django.test import Client

from accounts.models import AuditEntry, Project
from accounts.principals import SYSTEM_ACTOR
from portal.templatetags.portal import ink
from registry_sync import labels
from registry_sync.labels import Look
from registry_sync.models import Label
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, text_of

FORM = {"name": "tested", "description": "by the nightly run", "color": "#00ff00"}
OF_TEAM, OF_SYSTEM = "/p/team/-/labels", "/admin/labels"


def make(project: Project | None, name: str = "old") -> Label:
    """Make a label."""
    return labels.create(project, look=Look(name, color="#123"), actor=SYSTEM_ACTOR)


def test_who_may_look(cast: Cast, signed_in: SignedIn) -> None:
    for user, of_team, of_system in (
        (cast.admin, 200, 200),
        (cast.alice, 200, 403),
        (cast.carol, 200, 403),
        (cast.mallory, 404, 403),
    ):
        assert signed_in(user).get(OF_TEAM).status_code == of_team
        assert signed_in(user).get(OF_SYSTEM).status_code == of_system
    assert Client().get(OF_SYSTEM).status_code == 302


@pytest.mark.parametrize("path", [OF_TEAM, OF_SYSTEM])
def test_making_changing_and_deleting(cast: Cast, signed_in: SignedIn, path: str) -> None:
    client = signed_in(cast.admin)
    assert "No labels yet" in text_of(client.get(path))
    assert client.post(path, FORM).headers["Location"] == path
    label = Label.objects.get()
    assert label.project == (cast.team if path == OF_TEAM else None)
    page = text_of(client.get(path))
    assert 'fill="#00ff00"' in page
    assert "mo-label--dark" in page
    client.post(f"{path}/{label.pk}", {**FORM, "name": "proven"})
    assert Label.objects.get().name == "proven"
    assert client.post(f"{path}/{label.pk}/delete").status_code == 302
    assert not Label.objects.exists()
    actions = AuditEntry.objects.filter(action__endswith="_label").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "create_label",
        "update_label",
        "delete_label",
    ]


def test_a_guest_only_reads(cast: Cast, signed_in: SignedIn) -> None:
    label = make(cast.team)
    client = signed_in(cast.carol)
    assert "New label" not in text_of(client.get(OF_TEAM))
    for path in (OF_TEAM, f"{OF_TEAM}/{label.pk}", f"{OF_TEAM}/{label.pk}/delete"):
        assert client.post(path, FORM).status_code == 403
    assert Label.objects.get().name == "old"


def test_another_places_label_is_not_there(cast: Cast, signed_in: SignedIn) -> None:
    other, systems = make(cast.library), make(None)
    client = signed_in(cast.admin)
    for label in (other, systems):
        for path in (f"{OF_TEAM}/{label.pk}", f"{OF_TEAM}/{label.pk}/delete"):
            assert client.post(path, FORM).status_code == 404
    assert client.post(f"{OF_SYSTEM}/{other.pk}/delete").status_code == 404
    assert client.get(f"{OF_SYSTEM}/{10**30}").status_code == 404
    assert Label.objects.count() == 2


def test_errors_keep_the_input(cast: Cast, signed_in: SignedIn) -> None:
    label = make(cast.team, "taken")
    client = signed_in(cast.alice)
    answer = client.post(OF_TEAM, {**FORM, "name": "taken"})
    assert answer.status_code == 422
    assert "A label of this name exists." in text_of(answer)
    assert "by the nightly run" in text_of(answer)
    answer = client.post(f"{OF_TEAM}/{label.pk}", {**FORM, "color": "red"})
    assert 'id="id_color_error"' in text_of(answer)
    assert Label.objects.get().color == "#123"


@pytest.mark.parametrize(
    ("color", "expected"),
    [("#000", "light"), ("#FFFFFF", "dark"), ("#FFDC0B", "dark"), ("#C92100", "light")],
)
def test_the_writing_stands_out(color: str, expected: str) -> None:
    assert ink(color) == expected
