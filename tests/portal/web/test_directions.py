"""No text of others turns the direction in which a page is read."""

import html

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


def test_a_form_gives_back_what_it_was_given(cast: Cast, signed_in: SignedIn) -> None:
    made = make_repository(cast.team, "web")
    push_image(made, make_image())
    text = f'{TURNED} <b>"quoted"</b>'
    Repository.objects.filter(pk=made.pk).update(description=text)
    page = text_of(signed_in(cast.bob).get("/p/team/web/-/about/edit"))
    field = page.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0]
    assert html.unescape(field).strip() == text


def test_the_value_of_a_field_stays_too() -> None:
    page = f'<p>{TURNED}</p><input name="n" value="{TURNED}"><p>{TURNED}</p>'
    answer = DirectionsMiddleware(lambda _request: HttpResponse(page))
    given = answer(HttpRequest()).content.decode()
    assert f'value="{TURNED}"' in given
    assert given.count("⟨U+202E⟩") == 2


def test_letters_of_every_script_stay(cast: Cast, signed_in: SignedIn) -> None:
    made = make_repository(cast.team, "web")
    push_image(made, make_image())
    Repository.objects.filter(pk=made.pk).update(
        description="עברית العربية 繁體中文 – “x” ⟨y⟩ 👩‍💻"
    )
    assert "עברית العربية 繁體中文 – “x” ⟨y⟩ 👩‍💻" in text_of(
        signed_in(cast.carol).get("/p/team/web/-/about")
    )
