"""The chart of a repository's pulls, and the same as a table."""

from accounts.principals import Actor, Principal
from registry_sync import statistics
from registry_sync.models import Repository
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, text_of

ABOUT = "/p/team/app/-/about"


def pulled(repository: Repository, times: int, client: str = "docker/28") -> None:
    """Pull it by tag, today."""
    statistics.discard()
    actor = Actor(Principal("user", "carol"), client=client)
    for _time in range(times):
        statistics.note(repository.pk, digest="sha256:" + "0" * 64, tag="v1", actor=actor)
    statistics.flush()


def test_what_was_pulled_is_drawn_and_listed(cast: Cast, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team)
    push_image(repository, make_image(), "v1")
    pulled(repository, 3)
    pulled(repository, 2, "Trivy/0.60")
    page = text_of(signed_in(cast.bob).get(ABOUT))
    assert 'aria-label="Pulls in 30 days: 3, 3 on the busiest day"' in page
    assert 'title="carol"' in page
    cells = '<td class="mo-r mo-num">3</td><td class="mo-r mo-num">2</td>'
    assert cells in page


def test_nothing_pulled_says_so(cast: Cast, signed_in: SignedIn) -> None:
    push_image(make_repository(cast.team), make_image(), "v1")
    page = text_of(signed_in(cast.bob).get(ABOUT))
    assert "Nothing was pulled in these days." in page
    assert "mo-days" not in page
