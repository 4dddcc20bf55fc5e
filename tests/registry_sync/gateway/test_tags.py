"""``tags/list``: sorted, in pages, never ``null``."""

import pytest

from accounts.models import Project
from registry_sync.models import Repository
from tests.factories import make_image, make_repository, push_image
from tests.registry_sync.gateway.conftest import Caller, error_of, told

# In the order of their bytes; each is a prefix of another or differs in case alone.
TAGS = ["1", "1.0", "1.0-a", "10", "9", "A", "_x", "a", "a-b", "a.b", "ab"]


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app`` with one image under many tags."""
    app = make_repository(team)
    image = make_image()
    for name in reversed(TAGS):
        push_image(app, image, name)
    return app


def test_all_tags_in_the_order_of_their_bytes(carol_app: Caller, app: Repository) -> None:
    answer = carol_app.get("team/app/tags/list")
    assert told(answer) == {"name": "team/app", "tags": TAGS}
    assert "Link" not in answer


@pytest.mark.parametrize("size", [1, 3, len(TAGS), 1000])
def test_pages_list_each_tag_once(carol_app: Caller, app: Repository, size: int) -> None:
    found: list[str] = []
    path = f"team/app/tags/list?n={size}"
    while path:
        answer = carol_app.get(path)
        page = told(answer)["tags"]
        assert len(page) <= size
        found += page
        link, _, relation = answer.get("Link", "").partition(">")
        path = link.removeprefix("</v2/")
        assert relation in ("", '; rel="next"')
    assert found == TAGS


def test_last_need_not_be_a_tag(carol_app: Caller, app: Repository) -> None:
    assert told(carol_app.get("team/app/tags/list?last=a-"))["tags"] == ["a-b", "a.b", "ab"]


def test_a_nul_in_last_is_no_reason_to_fail(carol_app: Caller, app: Repository) -> None:
    assert told(carol_app.get("team/app/tags/list?last=9%00"))["tags"] == TAGS[5:]


def test_none_is_an_empty_list(carol_app: Caller, team: Project) -> None:
    push_image(make_repository(team), make_image(), tag="")
    assert carol_app.get("team/app/tags/list").content == b'{"name":"team/app","tags":[]}'


def test_nothing_after_the_last(carol_app: Caller, app: Repository) -> None:
    assert told(carol_app.get("team/app/tags/list?n=5&last=zz"))["tags"] == []


def test_n_of_zero_is_an_empty_page_without_a_next_one(carol_app: Caller, app: Repository) -> None:
    answer = carol_app.get("team/app/tags/list?n=0")
    assert told(answer)["tags"] == []
    assert "Link" not in answer


@pytest.mark.parametrize("n", ["-1", "abc", "", "1.5", "9e18", "9" * 19, "%C2%B2"])
def test_n_that_is_no_number_is_invalid(carol_app: Caller, app: Repository, n: str) -> None:
    answer = carol_app.get(f"team/app/tags/list?n={n}")
    assert error_of(answer) == (400, "PAGINATION_NUMBER_INVALID")


def test_a_huge_n_is_a_page_of_a_thousand(carol_app: Caller, app: Repository) -> None:
    assert told(carol_app.get("team/app/tags/list?n=9999999999"))["tags"] == TAGS


def test_a_repository_that_is_not_there_is_unknown(carol_app: Caller, team: Project) -> None:
    assert error_of(carol_app.get("team/app/tags/list")) == (404, "NAME_UNKNOWN")


def test_a_repository_into_which_no_push_ever_finished_is_unknown(
    carol_app: Caller, team: Project
) -> None:
    make_repository(team)
    assert error_of(carol_app.get("team/app/tags/list")) == (404, "NAME_UNKNOWN")


def test_a_tag_of_another_repository_is_not_listed(
    carol_app: Caller, app: Repository, team: Project
) -> None:
    push_image(make_repository(team, "app/sub"), tag="elsewhere")
    assert told(carol_app.get("team/app/tags/list"))["tags"] == TAGS
