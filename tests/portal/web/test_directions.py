"""No text of others turns the direction in which a page is read."""

import pytest
from django.http import HttpRequest, HttpResponse

from portal.web.directions import DirectionsMiddleware
from registry_sync.models import Repository
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, text_of

TURNED = "evil\u202egpj.exe \u2066x\u2069"


def test_a_page_shows_them_by_number(cast: Cast, signed_in: SignedIn) -> None:
    made = make_repository(cast.team, "web")
    push_image(made, make_image())
    Repository.objects.filter(pk=made.pk).update(description=TURNED)
    answer = signed_in(cast.carol).get("/p/team/web/-/about")
    page = text_of(answer)
    assert "evil⟨U+202E⟩gpj.exe ⟨U+2066⟩x⟨U+2069⟩" in page
    assert "\u202e" not in page
    assert int(answer.headers["Content-Length"]) == len(answer.content)


@pytest.mark.parametrize("kind", ["application/json", "text/csv", "text/html; charset=utf-8"])
def test_what_is_no_page_stays_as_it_is(kind: str) -> None:
    answer = DirectionsMiddleware(lambda _request: HttpResponse(TURNED, content_type=kind))
    given = answer(HttpRequest()).content.decode()
    assert (given == TURNED) is ("html" not in kind)


def test_letters_of_every_script_stay(cast: Cast, signed_in: SignedIn) -> None:
    made = make_repository(cast.team, "web")
    push_image(made, make_image())
    Repository.objects.filter(pk=made.pk).update(
        description="עברית العربية 繁體中文 – “x” ⟨y⟩ 👩‍💻"
    )
    assert "עברית العربية 繁體中文 – “x” ⟨y⟩ 👩‍💻" in text_of(
        signed_in(cast.carol).get("/p/team/web/-/about")
    )
