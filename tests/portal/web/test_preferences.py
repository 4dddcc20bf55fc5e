"""One's own preferences: stored, checked, and seen on the pages."""

import datetime

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, User
from accounts.preferences import Preferences, replace
from accounts.principals import SYSTEM_ACTOR
from portal.web import dates
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, text_of

PATH = "/account/preferences"
AT = datetime.datetime(2026, 11, 24, 18, 40, tzinfo=datetime.UTC)


def chosen(user: User) -> Preferences:
    """Return what the database has."""
    return Preferences.of(User.objects.get(pk=user.pk))


def test_they_are_stored_and_audited(cast: Cast, signed_in: SignedIn) -> None:
    form = {"time_zone": "Asia/Taipei", "date_format": "day", "client": "podman"}
    answer = signed_in(cast.bob).post(PATH, form)
    assert answer.status_code == 302
    expected = Preferences(
        time_zone="Asia/Taipei", date_format="day", client="podman", has_shortcuts=False
    )
    assert chosen(cast.bob) == expected
    entry = AuditEntry.objects.get(action="update_preferences")
    assert (entry.actor_name, entry.resource) == ("bob", "bob")
    assert entry.detail == {
        "time_zone": "Asia/Taipei",
        "date_format": "day",
        "client": "podman",
        "has_shortcuts": False,
    }
    assert signed_in(cast.bob).post(PATH, form).status_code == 302
    assert AuditEntry.objects.filter(action="update_preferences").count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("time_zone", "../../etc/passwd"), ("time_zone", "Moon/Base"), ("client", "curl")],
)
def test_what_is_not_known_is_refused(
    cast: Cast, signed_in: SignedIn, field: str, value: str
) -> None:
    form = {"time_zone": "", "date_format": "iso", "client": "", "has_shortcuts": "on"}
    answer = signed_in(cast.bob).post(PATH, form | {field: value})
    assert answer.status_code == 422
    assert 'role="alert"' in text_of(answer)
    assert chosen(cast.bob) == Preferences()


def test_a_stranger_is_asked_to_sign_in() -> None:
    assert Client().get(PATH).status_code == 302


@pytest.mark.parametrize(
    ("date_format", "expected"),
    [
        ("iso", "2026-11-25 02:40"),
        ("day", "25/11/2026 02:40"),
        ("month", "11/25/2026 2:40 a.m."),
        ("words", "Nov. 25, 2026, 2:40 a.m."),
    ],
)
def test_dates_are_in_their_zone_and_form(date_format: str, expected: str) -> None:
    user = User(time_zone="Asia/Taipei", date_format=date_format)
    before = timezone.get_current_timezone_name()
    with dates.written_for(user):
        assert dates.moment(timezone.localtime(AT)) == expected
        assert not dates.is_relative()
    assert timezone.get_current_timezone_name() == before
    assert dates.is_relative()


def test_a_zone_that_is_no_more_is_the_installations() -> None:
    with dates.written_for(User(time_zone="Gone/Away")):
        assert timezone.get_current_timezone() == timezone.get_default_timezone()


def test_pages_follow_them(cast: Cast, signed_in: SignedIn) -> None:
    push_image(make_repository(cast.team, "app"), make_image(), "1.0")
    client = signed_in(cast.bob)
    page = text_of(client.get("/p/team/app"))
    assert "<x-time>" in page
    assert "docker pull" in page
    assert "<x-keys>" in page
    wanted = Preferences(
        time_zone="Pacific/Kiritimati", date_format="iso", client="podman", has_shortcuts=False
    )
    replace(cast.bob, preferences=wanted, actor=SYSTEM_ACTOR)
    page = text_of(client.get("/p/team/app"))
    assert "<x-time>" not in page
    assert 'title="+14"' in page
    assert "podman pull" in page
    assert "docker pull" in text_of(client.get("/p/team/app?tool=docker"))
    assert "<x-keys>" not in page


def test_the_chosen_zone_is_the_selected_one(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.bob)
    page = text_of(client.get(PATH))
    assert 'for="id_time_zone"' in page
    select = page.partition("<select ")[2].partition(">")[0]
    assert 'name="time_zone"' in select
    assert 'id="id_time_zone"' in select
    assert page.count(" selected>") == 1
    assert '<option value="" selected>' in page
    replace(cast.bob, preferences=Preferences(time_zone="Asia/Taipei"), actor=SYSTEM_ACTOR)
    page = text_of(client.get(PATH))
    assert page.count(" selected>") == 1
    assert '<option value="Asia/Taipei" selected>Asia/Taipei</option>' in page
    assert page.index("Africa/Abidjan") < page.index("Asia/Taipei")
