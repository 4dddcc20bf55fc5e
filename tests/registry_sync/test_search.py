"""Search over few rows and over many: what is found, in which order, and by whom."""

import pytest

from accounts.models import User
from accounts.principals import ANONYMOUS, Principal
from registry_sync import search
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image


@pytest.fixture(params=["few", "many"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """As if there were few rows, or more than can be looked at."""
    if request.param == "many":
        monkeypatch.setattr(search, "MOST_EXACT", 0)
        monkeypatch.setattr(search, "NEWEST", 1)
        monkeypatch.setattr(search, "_FIRST_LOOK", 1)
    return str(request.param)


def principal_of(user: User) -> Principal:
    """Return somebody of the cast."""
    return Principal("user", user.username, user.pk, is_administrator=user.is_administrator)


def tags(principal: Principal, text: str) -> list[str]:
    """Return the names of the tags that are found."""
    found = search.tags(principal, search.words_of(text))
    return [f"{tag.repository.name}:{tag.name}" for tag in found]


@pytest.fixture
def pushed(cast: Cast) -> None:
    """Tags of a private and of a public project, the last one pushed last."""
    api, web = make_repository(cast.team, "pay/api"), make_repository(cast.team, "pay/web")
    public = make_repository(cast.library, "alpine")
    push_image(api, make_image(), "v1.4.2")
    push_image(web, make_image(), "1.4.2")
    push_image(public, make_image(), "1.4.1")
    push_image(api, make_image(), "RC-1.4.3")


@pytest.mark.usefixtures("pushed")
def test_a_tag_is_found_by_how_its_name_begins(cast: Cast, size: str) -> None:
    admin = principal_of(cast.admin)
    expected = ["team/pay/api:RC-1.4.3", "library/alpine:1.4.1", "team/pay/web:1.4.2"]
    expected.append("team/pay/api:v1.4.2")
    assert tags(admin, "1.4") == expected
    assert tags(admin, "V1.4") == ["team/pay/api:v1.4.2"]
    assert tags(admin, "1.4.2x") == []


@pytest.mark.usefixtures("pushed")
def test_the_middle_of_a_name_is_found_among_the_newest(cast: Cast, size: str) -> None:
    admin = principal_of(cast.admin)
    assert tags(admin, "4.3") == ["team/pay/api:RC-1.4.3"]
    assert tags(admin, "4.1") == (["library/alpine:1.4.1"] if size == "few" else [])


@pytest.mark.usefixtures("pushed")
def test_words_before_the_tag_are_the_repositorys(cast: Cast, size: str) -> None:
    admin = principal_of(cast.admin)
    assert tags(admin, "web 1.4") == ["team/pay/web:1.4.2"]
    assert tags(admin, "team/pay/a v1") == ["team/pay/api:v1.4.2"]
    assert tags(admin, "team alpine 1.4") == []


@pytest.mark.usefixtures("pushed", "size")
def test_only_what_one_may_see_is_found(cast: Cast) -> None:
    for stranger in (ANONYMOUS, principal_of(cast.mallory)):
        assert tags(stranger, "1.4") == ["library/alpine:1.4.1"]
        assert not search.users(stranger, ["bob"]).exists()
        assert [row.name for row in search.projects(stranger, ["a"])] == ["library"]
        assert [row.name for row in search.repositories(stranger, ["p"])] == ["library/alpine"]


def test_people_are_found_by_name_and_address(cast: Cast, size: str) -> None:
    admin = principal_of(cast.admin)
    assert [one.username for one in search.users(admin, ["BO"])] == ["bob"]
    newest = User.objects.order_by("-pk")[0]
    User.objects.filter(pk=newest.pk).update(realname="Ada Lovelace")
    assert list(search.users(admin, ["love"])) == [newest]


def test_signs_of_patterns_are_themselves(cast: Cast, size: str) -> None:
    push_image(make_repository(cast.team, "app"), make_image(), "100_1")
    admin = principal_of(cast.admin)
    assert tags(admin, "00_1") == ["team/app:100_1"]
    assert tags(admin, "00%1") == tags(admin, "1.0_1") == tags(admin, "'; --") == []
