"""The pages in Chromium, in front of a started Moorage: what scripts add, and journeys."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.live import browser as chromium_browser
from tests.live.browser import Visitor, visitor
from tests.live.stack import Stack

pytestmark = pytest.mark.live

NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
# A page that waits asks again within ten seconds at the latest.
NOTICED = 30_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the module."""
    with chromium_browser.started() as browser:
        yield browser


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack into which nothing was pushed."""
    running = Stack(tmp_path_factory.mktemp("fresh")).start()
    yield running
    running.stop()


@pytest.fixture
def guest(chromium: Browser, stack: Stack) -> Iterator[Visitor]:
    """Somebody who has not signed in."""
    somebody = visitor(chromium, stack)
    yield somebody
    somebody.context.close()


@pytest.fixture
def admin(guest: Visitor) -> Visitor:
    """The administrator, signed in."""
    guest.sign_in()
    return guest


def unused_name() -> str:
    """Return a project name that nobody used."""
    return f"pages-{secrets.token_hex(4)}"


def create_project(somebody: Visitor, name: str) -> Page:
    """Make a project through its form."""
    page = somebody.visit("/p/-/new")
    page.locator("[name=name]").fill(name)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"{somebody.stack.url}/p/{name}")
    return page


def mark(page: Page) -> None:
    """Leave something in the page that loading it again would remove."""
    page.evaluate("window.sameDocument = true")


def is_marked(page: Page) -> bool:
    """Tell whether it is still there."""
    return bool(page.evaluate("window.sameDocument === true"))


def test_the_first_run_page_notices_the_first_push(
    chromium: Browser, fresh: Stack, image: Path
) -> None:
    somebody = visitor(chromium, fresh)
    page = somebody.sign_in()
    expect(page.locator("h1")).to_have_text("Push your first image")
    expect(page.locator("main")).to_contain_text(f"docker push {fresh.address}/library/alpine:3.22")
    mark(page)
    pushed = fresh.push(image, "library/hello:1.0")
    assert pushed.returncode == 0, pushed.stderr
    expect(page.locator("h1")).to_have_text("Home", timeout=NOTICED)
    expect(page.locator(".mo-feed")).to_contain_text("library/hello:1.0")
    assert is_marked(page)
    assert somebody.complaints == []
    somebody.context.close()


def test_from_a_new_project_to_its_first_image(admin: Visitor, image: Path) -> None:
    name = unused_name()
    page = create_project(admin, name)
    expect(page.locator("main")).to_contain_text("Waiting for the first push")
    mark(page)
    pushed = admin.stack.push(image, f"{name}/tools/hello:1.0")
    assert pushed.returncode == 0, pushed.stderr
    page.get_by_role("link", name="tools/hello").wait_for(timeout=NOTICED)
    assert is_marked(page)
    expect(page.locator("main")).not_to_contain_text("Waiting for the first push")

    page.get_by_role("link", name="tools/hello").click()
    expect(page.locator("main")).to_contain_text(
        f"docker pull {admin.stack.address}/{name}/tools/hello:1.0"
    )
    page.locator("a.mo-tagname", has_text="1.0").click()
    expect(page.locator("h1")).to_contain_text(f"{name}/tools/hello:1.0")
    layers = page.locator(".mo-stack .mo-layer--row")
    expect(layers).to_have_count(2)
    expect(layers.first).to_contain_text("COPY world /")
    expect(page.locator("main")).to_contain_text("/bin/true")
    page.locator("#manifest-card summary").click()
    expect(page.locator("#manifest")).to_contain_text('"schemaVersion": 2')
    assert admin.complaints == []


def test_a_multi_platform_tag_leads_to_each_platform(admin: Visitor, index: Path) -> None:
    name = unused_name()
    create_project(admin, name)
    pushed = admin.stack.push(index, f"{name}/hello:2.0")
    assert pushed.returncode == 0, pushed.stderr
    page = admin.visit(f"/p/{name}/hello")
    mark(page)
    page.locator("a.mo-expand").click()
    page.get_by_role("link", name="linux/arm64").wait_for()
    assert is_marked(page)
    assert "expand=" in page.url
    page.get_by_role("link", name="linux/arm64").click()
    expect(page.locator("h1")).to_contain_text("linux/arm64")
    page.locator("#h-facts").wait_for()
    expect(page.get_by_text("Part of")).to_be_visible()
    assert admin.complaints == []


def test_the_filter_narrows_while_typing(admin: Visitor, image: Path) -> None:
    name = unused_name()
    create_project(admin, name)
    for tag in ("1.0", "2.0"):
        assert admin.stack.push(image, f"{name}/{tag[0]}-app:{tag}").returncode == 0
    page = admin.visit(f"/p/{name}")
    mark(page)
    page.keyboard.press("/")
    page.keyboard.type("2-")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    assert is_marked(page)
    assert page.url.endswith("?q=2-")
    page.reload()
    expect(page.locator("#rows tbody tr")).to_have_count(1)


def test_copying_without_the_clipboard_interface(admin: Visitor) -> None:
    name = unused_name()
    create_project(admin, name)
    # As in a page that was not loaded over https.
    admin.context.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
    )
    page = admin.visit(f"/p/{name}")
    page.locator(".mo-cmd .mo-copy").first.click()
    expect(page.locator("#mo-live")).to_have_text("Copied")
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").last.focus()
    page.keyboard.press("Control+v")
    pasted = page.locator("textarea").last.input_value()
    assert pasted == f"docker login -u admin {admin.stack.address}"


def test_language_and_theme_are_switched_in_place(admin: Visitor) -> None:
    page = admin.visit("/p/")
    page.locator("summary", has_text="English").click()
    page.get_by_role("button", name="繁體中文").click()
    expect(page.locator("h1")).to_have_text("專案")
    assert page.url == admin.stack.url + "/p/"
    assert page.locator("html").get_attribute("lang") == "zh-Hant"
    mark(page)
    page.locator("summary[aria-label='佈景主題']").click()
    page.get_by_role("button", name="深色").click()
    assert page.locator("html").get_attribute("data-bs-theme") == "dark"
    assert is_marked(page)
    page.reload()
    assert page.locator("html").get_attribute("data-bs-theme") == "dark"
    assert admin.complaints == []


def test_what_the_policy_stops_is_seen(admin: Visitor) -> None:
    page = admin.visit("/p/")
    page.evaluate("document.body.setAttribute('style', 'color: red')")
    page.wait_for_timeout(200)
    assert any("style-src" in complaint for complaint in admin.complaints)


def test_signing_out(admin: Visitor) -> None:
    page = admin.visit("/p/")
    page.locator("summary", has_text="Account of admin").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/account/sign-in")
    admin.visit("/")
    assert "/account/sign-in" in page.url


def test_a_wrong_password_is_told_in_the_page(guest: Visitor) -> None:
    page = guest.visit("/account/sign-in")
    page.locator("[name=username]").fill("somebody-else")
    page.locator("[name=password]").fill("not-the-password")
    page.locator("main button[type=submit]").click()
    expect(page.get_by_role("alert")).to_have_text("The username or the password is wrong.")


def test_everything_works_without_script(chromium: Browser, stack: Stack) -> None:
    somebody = visitor(chromium, stack, script=False)
    somebody.sign_in()
    name = unused_name()
    page = create_project(somebody, name)
    expect(page.locator("main")).to_contain_text("docker push")
    page.locator("summary", has_text="English").click()
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("main")).to_contain_text("等待首次推送")
    page.locator("summary[aria-label='主题']").click()
    page.get_by_role("button", name="深色").click()
    assert page.locator("html").get_attribute("data-bs-theme") == "dark"
    somebody.context.close()


def test_keys_lead_through_the_pages(admin: Visitor, image: Path) -> None:
    name = unused_name()
    create_project(admin, name)
    for path in ("a", "b"):
        assert admin.stack.push(image, f"{name}/{path}:1.0").returncode == 0
    page = admin.visit(f"/p/{name}")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Next row, row before")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/p/{name}/a")
    page.keyboard.press("c")
    expect(page.locator("#mo-live")).to_have_text("Copied")
    # What is typed into a field is a text.
    page.keyboard.press("/")
    page.keyboard.type("gp?")
    expect(page.locator("main input[type=search]")).to_have_value("gp?")
    page.locator("h1").click()
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url("**/p/")
    assert admin.complaints == []


def test_the_palette_goes_to_pages_people_actions_and_references(
    admin: Visitor, image: Path
) -> None:
    name = unused_name()
    create_project(admin, name)
    assert admin.stack.push(image, f"{name}/hello:1.0").returncode == 0
    reference = f"{admin.stack.address}/{name}/hello:1.0"
    for text, heading, target in (
        ("new rob", "Actions", "**/admin/robots/new"),
        ("quotas", "Pages", "**/admin/quotas"),
        ("admin", "Users", "**/admin/users/*"),
        (reference, "Go to", f"**/p/{name}/hello/-/tags/1.0"),
    ):
        page = admin.visit("/jobs/")
        page.keyboard.press("Control+k")
        page.keyboard.type(text)
        group = page.get_by_role("group", name=heading, exact=True)
        group.get_by_role("option").first.wait_for()
        options = page.get_by_role("option")
        for _step in range(options.count()):
            page.keyboard.press("ArrowDown")
            if group.locator("[aria-selected=true]").count():
                break
        page.keyboard.press("Enter")
        page.wait_for_url(target)
    assert admin.complaints == []
