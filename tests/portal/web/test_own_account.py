"""One's own tokens, password and sessions."""

from django.test import Client

from accounts import personal_tokens, sessions
from accounts.principals import SYSTEM_ACTOR
from tests.conftest import Cast, password_of
from tests.portal.web.conftest import SignedIn, text_of


def test_a_token_is_made_shown_once_and_revoked(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.bob)
    form = {"name": "laptop", "scopes": ["registry:pull"], "days": "30"}
    page = text_of(client.post("/account/tokens", form))
    token = personal_tokens.of_user(cast.bob).get()
    assert "The secret is shown once." in page
    assert page.count(token.hint) > 2
    assert "The secret is shown once." not in text_of(client.get("/account/tokens"))
    assert client.post(f"/account/tokens/{token.pk}/revoke").status_code == 302
    assert not personal_tokens.of_user(cast.bob).exists()


def test_a_token_without_scopes_is_not_made(cast: Cast, signed_in: SignedIn) -> None:
    answer = signed_in(cast.bob).post("/account/tokens", {"name": "x", "days": "30"})
    assert answer.status_code == 422
    assert "This field is required." in text_of(answer)


def test_another_persons_token_is_not_there(cast: Cast, signed_in: SignedIn) -> None:
    token, _secret = personal_tokens.create(
        cast.bob, name="x", scopes=["api:read"], actor=SYSTEM_ACTOR
    )
    assert signed_in(cast.alice).post(f"/account/tokens/{token.pk}/revoke").status_code == 404


def test_the_account_pages_ask_for_a_sign_in(cast: Cast) -> None:
    for path in ("/account/tokens", "/account/security"):
        assert Client().get(path).status_code == 302


def test_a_changed_password_ends_the_session(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.bob)
    form = {"current": password_of("bob"), "password": "a-quite-different-one"}
    assert client.post("/account/security", form).headers["Location"] == "/account/sign-in"
    assert client.get("/account/security").status_code == 302
    cast.bob.refresh_from_db()
    assert cast.bob.check_password("a-quite-different-one")


def test_a_wrong_current_password_is_refused(cast: Cast, signed_in: SignedIn) -> None:
    form = {"current": "wrong-wrong-12", "password": "a-quite-different-one"}
    answer = signed_in(cast.bob).post("/account/security", form)
    assert answer.status_code == 422
    assert 'id="id_current_error"' in text_of(answer)


def test_a_session_is_listed_and_ended(cast: Cast) -> None:
    client = Client(headers={"User-Agent": "a browser"})
    client.post("/account/sign-in", {"username": "bob", "password": password_of("bob")})
    assert "a browser" in text_of(client.get("/account/security"))
    session = sessions.of_user(cast.bob).get()
    client.post(f"/account/sessions/{session.pk}/end")
    assert client.get("/account/security").status_code == 302
