"""Immutable tags under a race and in a client's words; a repository's tabs in a browser."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from playwright.sync_api import Browser, expect

from tests.live import browser as chromium_browser
from tests.live.browser import Visitor, visitor
from tests.live.client import Answer, make_image, make_project, pusher, unique
from tests.live.stack import Stack
from tests.portal.web.test_markdown import PAYLOADS

pytestmark = pytest.mark.live

RACERS = 20


def hold(stack: Stack, project: str, pattern: str) -> None:
    """Make the project's tags that match immutable."""
    made = stack.request(
        "POST",
        f"/api/v2.0/projects/{project}/immutabletagrules",
        auth=("admin", stack.admin_password),
        json={
            "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": pattern}],
            "scope_selectors": {
                "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]
            },
        },
    )
    assert made.status_code == 201, made.text


@pytest.fixture(scope="module")
def project(stack: Stack) -> str:
    """A project whose tags that begin with v are immutable."""
    name = make_project(stack)
    hold(stack, name, "v*")
    return name


def test_of_twenty_first_pushes_one_gets_in(stack: Stack, project: str) -> None:
    name = f"{project}/race"
    client = pusher(stack, name)
    images = [make_image(f"racer {number}".encode()) for number in range(RACERS)]
    for image in images:
        for blob in (image.config, image.layer):
            client.push_blob(name, blob)
    start = Barrier(RACERS)

    def push(number: int) -> Answer:
        start.wait(timeout=30)
        return client.push_manifest(name, "v1", images[number].manifest)

    with ThreadPoolExecutor(RACERS) as pool:
        answers = list(pool.map(push, range(RACERS)))
    statuses = [answer.status for answer in answers]
    assert Counter(statuses) == {201: 1, 412: RACERS - 1}
    winner = images[statuses.index(201)]
    pulled = client.ask("GET", f"/v2/{name}/manifests/v1")
    assert pulled.headers["Docker-Content-Digest"] == winner.digest
    history = stack.request(
        "GET",
        f"/api/v2.0/projects/{project}/repositories/race/tag-history",
        auth=("admin", stack.admin_password),
    ).json()
    assert [state["digest"] for state in history] == [winner.digest]


def test_a_client_is_told_which_rule_holds_the_tag(
    stack: Stack, project: str, image: Path, index: Path
) -> None:
    name = f"{project}/told:v1"
    assert stack.push(index, name).returncode == 0
    assert stack.push(index, name).returncode == 0, "the same image again"
    refused = stack.push(image, name)
    assert refused.returncode != 0
    assert "the tag v1 is immutable (in every repository, tags that match v*)" in refused.stderr
    deleted = stack.skopeo("delete", f"docker://{stack.address}/{name}")
    assert deleted.returncode != 0
    assert "immutable" in deleted.stderr
    assert stack.push(image, f"{project}/told:other").returncode == 0


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the module."""
    with chromium_browser.started() as browser:
        yield browser


@pytest.fixture
def admin(chromium: Browser, stack: Stack) -> Iterator[Visitor]:
    """The administrator, signed in."""
    somebody = visitor(chromium, stack)
    somebody.sign_in()
    yield somebody
    somebody.context.close()


def test_no_description_runs_or_fetches_anything(
    stack: Stack, project: str, image: Path, admin: Visitor
) -> None:
    name = unique("described")
    assert stack.push(image, f"{project}/{name}:1").returncode == 0
    fetched: list[str] = []
    admin.page.on("request", lambda request: fetched.append(request.url))
    admin.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page = admin.visit(f"/p/{project}/{name}/-/about/edit")
    page.locator("[name=description]").fill("\n\n".join(["The last one follows.", *PAYLOADS]))
    page.get_by_role("button", name="Show how it looks").click()
    expect(page.locator(".mo-prose")).to_contain_text("The last one follows.")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(f"**/{name}/-/about")
    expect(page.locator(".mo-prose")).to_contain_text("The last one follows.")
    for link in page.locator(".mo-prose a").all():
        assert (link.get_attribute("href") or "").startswith("https://")
        link.hover()
    assert page.locator(".mo-prose :is(script, style, img, svg, iframe, form)").count() == 0
    admin.visit(f"/p/{project}/{name}")
    assert all(url.startswith(stack.url) for url in fetched)
    assert not admin.complaints


def test_tags_are_ticked_looked_at_and_removed(
    stack: Stack, project: str, image: Path, admin: Visitor
) -> None:
    name = unique("ticked")
    for tag in ("v1", "dev", "old"):
        assert stack.push(image, f"{project}/{name}:{tag}").returncode == 0
    page = admin.visit(f"/p/{project}/{name}?sort=pushed")
    bar = page.locator("[data-bar]")
    expect(bar).to_be_hidden()
    page.locator("#mo-filter").fill("old")
    box = page.get_by_label("Select old")
    box.check()
    expect(bar).to_contain_text("1 selected")
    page.get_by_role("button", name="Remove tags…").click()
    page.get_by_role("button", name="Remove 1 tag").click()
    page.wait_for_url("**/-/runs/*")
    # The worker may have other runs to do before these.
    page.get_by_role("button", name="Undo this run").click(timeout=60_000)
    expect(page.get_by_text("Deletions taken back")).to_be_visible(timeout=60_000)
    admin.visit(f"/p/{project}/{name}/-/history?tag=old")
    expect(page.get_by_text("Restored")).to_be_visible()
    assert not admin.complaints


def test_a_rule_is_counted_while_it_is_written(
    stack: Stack, project: str, image: Path, admin: Visitor
) -> None:
    name = unique("counted")
    assert stack.push(image, f"{project}/{name}:only-here").returncode == 0
    page = admin.visit(f"/p/{project}/-/settings/immutable")
    page.get_by_label("Pattern for repositories").fill(name)
    page.get_by_label("Pattern for tags").fill("only-*")
    expect(page.locator("#preview")).to_contain_text("1 tag matches now.")
    expect(page.locator("#preview")).to_contain_text(f"{name}:only-here")
    page.get_by_label("Pattern for tags").fill("{1..100000}")
    expect(page.locator("#preview")).to_contain_text("Write a pattern")
    assert not admin.complaints
