"""The main tasks by keyboard alone, with scripts and without; and mail that arrives."""

import re
import secrets
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from playwright.sync_api import Browser, Locator, Page, expect

from tests.live import browser as chromium_browser
from tests.live.browser import Visitor, visitor
from tests.live.stack import Stack, wait_for
from tests.ports import free_port

pytestmark = pytest.mark.live

# No page has so many places to stop at before the one that is sought.
_MOST_STOPS = 120
_AT_THE_TOP = "document.activeElement === document.body && !!document.querySelector('.mo-skip')"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the module."""
    with chromium_browser.started() as browser:
        yield browser


class Keyboard:
    """Somebody without a mouse."""

    def __init__(self, page: Page) -> None:
        """Begin at the top of the page."""
        self.page = page

    def reach(self, target: Locator) -> None:
        """Press Tab until the target has the focus; on a new page, skip to the content first."""
        if self.page.evaluate(_AT_THE_TOP) and target.evaluate("(one) => !!one.closest('main')"):
            self.page.keyboard.press("Tab")
            self.page.keyboard.press("Enter")
        for _number in range(_MOST_STOPS):
            self.page.keyboard.press("Tab")
            if target.evaluate("(one) => one === document.activeElement"):
                return
        raise AssertionError(f"Tab does not reach {target}")

    def type(self, target: Locator, text: str) -> None:
        """Put a text in the place of what stands in a field."""
        self.reach(target)
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)

    def press(self, target: Locator, key: str) -> None:
        """Press a key that stays on the page."""
        self.reach(target)
        self.page.keyboard.press(key)

    def follow(self, target: Locator) -> None:
        """Press Enter on a link or button, and wait for where it leads."""
        self.reach(target)
        self.send()

    def send(self) -> None:
        """Press Enter, and wait for where it leads."""
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")


@pytest.mark.parametrize("script", [True, False], ids=["scripts", "no scripts"])
def test_a_project_from_making_to_deleting(
    chromium: Browser, stack: Stack, image: Path, *, script: bool
) -> None:
    somebody = visitor(chromium, stack, script=script)
    page = somebody.visit("/account/sign-in")
    keys = Keyboard(page)
    keys.type(page.locator("[name=username]"), "admin")
    keys.type(page.locator("[name=password]"), stack.admin_password)
    keys.send()
    page.wait_for_url(lambda url: "/account/" not in url)

    name = f"keys-{secrets.token_hex(4)}"
    somebody.visit("/p/")
    keys.follow(page.locator("main").get_by_role("link", name="New project"))
    page.wait_for_url("**/p/-/new")
    keys.type(page.locator("#id_name"), name)
    keys.send()
    page.wait_for_url(f"**/p/{name}*")
    assert stack.push(image, f"{name}/hello:1.0").returncode == 0

    somebody.visit(f"/p/{name}")
    keys.follow(page.locator(".mo-tabs").get_by_role("link", name="Settings"))
    expect(page.locator("h1")).to_have_text("Settings")
    keys.press(page.locator("#id_is_read_only"), "Space")
    keys.type(page.locator("#id_storage_limit"), "1 GiB")
    keys.send()
    expect(page.get_by_role("status").first).to_contain_text("The settings are saved.")
    assert stack.push(image, f"{name}/hello:2.0").returncode != 0
    _a_robot(page, keys)
    _the_end(page, keys, name)
    somebody.context.close()


def _a_robot(page: Page, keys: Keyboard) -> None:
    """Make a robot, see its secret, give it one more right."""
    keys.follow(page.locator(".mo-subnav").get_by_role("link", name="Robots"))
    keys.follow(page.locator("main").get_by_role("link", name="New robot"))
    keys.type(page.locator("#id_name"), "ci")
    keys.send()
    expect(page.locator("main")).to_contain_text("The secret is shown once.")
    keys.follow(page.get_by_role("link", name="I have stored the secret"))
    keys.follow(page.get_by_role("link", name="Change rights and limits"))
    keys.press(page.locator("summary", has_text="Single rights"), "Enter")
    keys.press(page.locator("input[value='label:create']"), "Space")
    keys.follow(page.get_by_role("button", name="Save"))
    expect(page.locator("main")).to_contain_text("The robot is changed")
    expect(page.locator("main")).to_contain_text("create")


def _the_end(page: Page, keys: Keyboard, name: str) -> None:
    """Delete the project: it says what goes, and wants the name."""
    keys.follow(page.locator("main").get_by_role("link", name="Robots"))
    keys.follow(page.locator(".mo-subnav").get_by_role("link", name="Delete"))
    expect(page.locator("main")).to_contain_text("What goes with it")
    keys.type(page.locator("#id_confirmation"), "another")
    keys.send()
    expect(page.get_by_role("alert")).to_contain_text("type its name")
    keys.type(page.locator("#id_confirmation"), name)
    keys.send()
    expect(page.get_by_role("status").first).to_contain_text(f"The project {name} is deleted.")


# --- Mail -----------------------------------------------------------------------------------------


class Letterbox:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        """Begin empty."""
        self.messages: list[Message] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a message."""
        assert isinstance(envelope.content, bytes)
        self.messages.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture(scope="module")
def letterbox() -> Iterator[tuple[Letterbox, int]]:
    """A mail server, and its port."""
    box, port = Letterbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


@pytest.fixture(scope="module")
def own(
    tmp_path_factory: pytest.TempPathFactory, letterbox: tuple[Letterbox, int]
) -> Iterator[Stack]:
    """A Moorage that sends mail and into which nothing was pushed."""
    home = tmp_path_factory.mktemp("own") / "home"
    running = Stack(home, MOORAGE_EMAIL_URL=f"smtp://127.0.0.1:{letterbox[1]}").start()
    yield running
    running.stop()


def test_a_forgotten_password(
    chromium: Browser, own: Stack, letterbox: tuple[Letterbox, int]
) -> None:
    made = own.request(
        "POST",
        "/api/v2.0/users",
        json={
            "username": "dana",
            "email": "dana@example.com",
            "realname": "Dana",
            "password": "The-first-Password-1",
        },
        auth=("admin", own.admin_password),
    )
    assert made.status_code == 201, made.text
    somebody = visitor(chromium, own)
    _ask_and_choose(somebody, letterbox[0])
    assert somebody.complaints == []
    somebody.context.close()
    for password, status in (("The-first-Password-1", 401), ("the second password 2", 200)):
        answer = own.get("/api/v2.0/users/current", auth=("dana", password))
        assert answer.status_code == status
    assert "mrg_rst_" not in own.logs()


def _ask_and_choose(somebody: Visitor, box: Letterbox) -> None:
    page = somebody.visit("/account/sign-in")
    page.get_by_role("link", name="Forgot your password?").click()
    page.locator("#id_name").fill("dana")
    page.get_by_role("button", name="Mail me a link").click()
    expect(page.get_by_role("status").first).to_contain_text("is on its way there")
    wait_for(lambda: box.messages, "a message")
    (message,) = box.messages
    assert message["To"] == "dana@example.com"
    text = message.get_payload(decode=True)
    assert isinstance(text, bytes)
    link = re.search(r"https?://\S+/account/reset\?key=\S+", text.decode())
    assert link
    page.goto(link[0])
    page.locator("#id_password").fill("the second password 2")
    page.get_by_role("button", name="Set the password").click()
    page.wait_for_url("**/account/sign-in")


# --- The first run, a developer's day, a team's administrator -------------------------------------


def test_from_the_first_sign_in_to_the_first_push(
    chromium: Browser, own: Stack, image: Path
) -> None:
    somebody = visitor(chromium, own)
    page = somebody.visit("/")
    _sign_in(page, own.admin_password)
    page.wait_for_url("**/setup")
    page.get_by_role("link", name="Password and language").click()
    page.locator("#id_current").fill(own.admin_password)
    own.admin_password = "a password of our own 3"
    page.locator("#id_password").fill(own.admin_password)
    page.get_by_role("button", name="Change the password").click()
    expect(page.locator("main")).to_contain_text("Sign in with the new one.")
    _sign_in(page, own.admin_password)
    page.wait_for_url("**/setup")
    page.get_by_role("link", name="Address and storage").click()
    expect(page.locator("main")).to_contain_text("Your browser and docker come by the same address")
    expect(page.locator("main")).to_contain_text("The registry answers.")
    page.get_by_role("link", name="Go on").click()
    page.locator("#id_name").fill("shop")
    page.get_by_role("button", name="Make the project").click()
    page.wait_for_url("**/setup?step=push&project=shop")
    expect(page.locator("main")).to_contain_text(f"docker push {own.address}/shop/alpine:3.22")
    expect(page.get_by_text("Waiting for the first push")).to_be_visible()
    # Put off, and taken up again.
    page.get_by_role("button", name="Skip for now").click()
    page.get_by_role("link", name="Go on with the set-up").click()
    expect(page.get_by_text("Waiting for the first push")).to_be_visible()
    assert own.push(image, "shop/alpine:3.22", password="wrong").returncode != 0
    expect(page.locator("#waiting")).to_contain_text("failed to sign in as admin")
    assert own.push(image, "shop/alpine:3.22").returncode == 0
    expect(page.get_by_role("heading", name="The first image is here")).to_be_visible()
    expect(page.locator("#content")).to_contain_text("shop/alpine:3.22")
    expect(page.locator("#content")).to_contain_text(f"docker pull {own.address}/shop/alpine:3.22")
    page.get_by_role("button", name="Finish the set-up").click()
    page.wait_for_url(own.url + "/")
    expect(page.locator("main")).to_contain_text("shop/alpine")
    wait_for(lambda: "Pushes in 30 days: 1" in somebody.visit("/").content(), "the push's count")
    assert [text for text in somebody.complaints if "401" not in text] == []
    somebody.context.close()


def _sign_in(page: Page, password: str) -> None:
    page.locator("[name=username]").fill("admin")
    page.locator("[name=password]").fill(password)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(lambda url: "/account/" not in url)


def test_a_day_of_a_developer(chromium: Browser, stack: Stack, image: Path) -> None:
    name = f"day-{secrets.token_hex(4)}"
    auth = ("admin", stack.admin_password)
    made = stack.request("POST", "/api/v2.0/projects", json={"project_name": name}, auth=auth)
    assert made.status_code == 201, made.text
    assert stack.push(image, f"{name}/payments/api:1.4.2").returncode == 0
    somebody = visitor(chromium, stack)
    page = somebody.sign_in()
    page.keyboard.press("ControlOrMeta+k")
    page.keyboard.type(f"{name}/payments/api:1.4.2")
    page.locator("#mo-found").get_by_text("1.4.2").first.wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"{name}/payments/api"))
    expect(page.locator("main")).to_contain_text(
        f"docker pull {stack.address}/{name}/payments/api:1.4.2"
    )
    expect(page.locator("main")).to_contain_text("admin")
    page.locator("main .mo-cmd .mo-copy").first.click()
    expect(page.locator("#mo-live")).not_to_be_empty()
    # It is kept at hand, and the feed tells of it.
    somebody.visit(f"/p/{name}/payments/api")
    page.get_by_role("button", name="Pin to home").click()
    somebody.visit("/")
    page.locator(".mo-pinned").get_by_role("link", name=f"{name}/payments/api").click()
    somebody.visit(f"/p/{name}/-/activity")
    expect(page.locator("#rows")).to_contain_text(f"admin pushed {name}/payments/api:1.4.2")
    assert somebody.complaints == []
    somebody.context.close()


def test_a_team_and_what_it_keeps(
    chromium: Browser, stack: Stack, image: Path, index: Path
) -> None:
    name = f"team-{secrets.token_hex(4)}"
    user = {
        "username": f"{name}-dana",
        "email": f"{name}@example.com",
        "realname": "Dana",
        "password": "The-first-Password-1",
    }
    auth = ("admin", stack.admin_password)
    for path, body in (("projects", {"project_name": name}), ("users", user)):
        made = stack.request("POST", f"/api/v2.0/{path}", json=body, auth=auth)
        assert made.status_code == 201, made.text
    for layout, tag in ((image, "v1"), (index, "v2")):
        assert stack.push(layout, f"{name}/app:{tag}").returncode == 0
    somebody = visitor(chromium, stack)
    somebody.sign_in()
    page = somebody.visit(f"/p/{name}/-/members")
    page.locator("#id_username").fill(f"{name}-dana")
    page.locator("main form:has(#id_username) button[type=submit]").click()
    expect(page.locator("main table")).to_contain_text(f"{name}-dana")
    somebody.visit(f"/p/{name}/-/activity?kind=people")
    expect(page.locator("#rows")).to_contain_text(f"admin added the member {name}: {name}-dana")
    # What a rule would remove is shown while it is typed, before anything is saved.
    somebody.visit(f"/p/{name}/-/retention")
    kept = page.locator("#preview .mo-verdict .mo-ok")
    expect(kept).to_have_text("2")
    page.locator("select[name$=template]").first.select_option("latestPushedK")
    page.locator("input[name$=number]").first.fill("1")
    page.locator("[name=is_harbor]").check()
    expect(kept).to_have_text("1")
    tagged = stack.get(f"/api/v2.0/projects/{name}/repositories/app/artifacts?q=tags=*", auth=auth)
    assert len(tagged.json()) == 2
    assert somebody.complaints == []
    somebody.context.close()
