"""The page of quotas, and how bytes are written in forms."""

import re

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts import projects
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from accounts.projects import Changes
from portal.web.byte_sizes import ByteSizeField, written
from registry_sync.models import ProjectUsage
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, text_of

PATH = "/admin/quotas"
GIB = 2**30


def test_who_may_look(cast: Cast, signed_in: SignedIn) -> None:
    assert signed_in(cast.admin).get(PATH).status_code == 200
    assert signed_in(cast.alice).get(PATH).status_code == 403
    path = f"{PATH}/{cast.team.pk}"
    assert signed_in(cast.alice).post(path, {"storage_limit": ""}).status_code == 403
    assert Client().get(PATH).status_code == 302


def test_the_order(cast: Cast, signed_in: SignedIn) -> None:
    for project, used, limit in ((cast.team, 90, 100), (cast.library, 500, -1)):
        ProjectUsage.objects.update_or_create(project=project, defaults={"used_bytes": used})
        projects.update(project, changes=Changes(storage_limit=limit), actor=SYSTEM_ACTOR)
    client = signed_in(cast.admin)
    for sort, first in (
        ("share", "team"),
        ("used", "library"),
        ("limit", "team"),
        ("no", "library"),
    ):
        page = text_of(client.get(PATH, {"sort": sort}))
        assert re.findall(r'class="mo-name" href="/p/(\w+)"', page)[0] == first, sort
    assert "90%" in text_of(client.get(PATH))
    assert "team" not in text_of(client.get(PATH, {"q": "lib"})).partition("<main")[2]


def test_a_limit_is_set_beside_its_project(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    path = f"{PATH}/{cast.team.pk}"
    answer = client.post(f"{path}?sort=name", {"storage_limit": "2 GiB"})
    assert answer.headers["Location"] == f"{PATH}?sort=name"
    assert Project.objects.get(pk=cast.team.pk).storage_limit == 2 * GIB
    answer = client.post(path, {"storage_limit": "a lot"})
    assert answer.status_code == 422
    assert 'value="a lot"' in text_of(answer)
    assert "Write a number with a unit" in text_of(answer)
    assert Project.objects.get(pk=cast.team.pk).storage_limit == 2 * GIB
    assert client.post(f"{PATH}/{10**30}", {"storage_limit": ""}).status_code == 404


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", -1),
        ("1048576", 2**20),
        ("10 GiB", 10 * GIB),
        ("10g", 10 * GIB),
        ("1.5 MiB", 3 * 2**19),
        ("2 kB", 2000),
        ("3 B", 3),
    ],
)
def test_bytes_are_read(text: str, size: int) -> None:
    assert ByteSizeField(required=False).clean(text) == size


@pytest.mark.parametrize("text", ["0", "-1", "1e9", "ten", "9 PiB 1", "99999999 PiB", "1 GiB x"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        ByteSizeField(required=False).clean(text)


@pytest.mark.parametrize("size", [1, 1000, 1024, GIB, 10 * GIB + 1, 2**62])
def test_what_is_written_is_read_again(size: int) -> None:
    assert ByteSizeField().clean(written(size)) == size
