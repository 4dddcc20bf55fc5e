"""Chromium, and somebody who looks at Moorage with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from tests.live.stack import PATIENCE, Stack

CHROMIUM = "/usr/bin/chromium"
SWITCHES = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Tells the console, which the tests read, of everything the policy stopped.
WATCH = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
});
"""


@contextmanager
def started() -> Iterator[Browser]:
    """A browser; it keeps an event loop, so end it with the module that uses it."""
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """Somebody with a browser window, and what its console complained of."""

    stack: Stack
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def visit(self, path: str) -> Page:
        """Open a page."""
        self.page.goto(self.stack.url + path)
        return self.page

    def sign_in(self) -> Page:
        """Sign in as the administrator, through the form."""
        page = self.visit("/account/sign-in")
        page.locator("[name=username]").fill("admin")
        page.locator("[name=password]").fill(self.stack.admin_password)
        page.locator("main button[type=submit]").click()
        page.wait_for_url(lambda url: "/account/" not in url)
        if page.url.endswith("/setup"):
            # Nothing was pushed yet: who administers is led to the set-up.
            self.visit("/")
        return page

    def listen(self, message: ConsoleMessage) -> None:
        """Remember errors."""
        if message.type == "error":
            self.complaints.append(message.text)


def visitor(
    browser: Browser,
    stack: Stack,
    *,
    language: str = "en",
    theme: str = "light",
    script: bool = True,
) -> Visitor:
    """Open a window with these preferences."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, java_script_enabled=script
    )
    preferences = {"moorage_language": language, "theme": theme}
    context.add_cookies(
        [{"name": name, "value": value, "url": stack.url} for name, value in preferences.items()]
    )
    if script:
        context.add_init_script(WATCH)
    context.set_default_timeout(PATIENCE * 1000)
    somebody = Visitor(stack, context, context.new_page())
    somebody.page.on("console", somebody.listen)
    somebody.page.on("pageerror", lambda error: somebody.complaints.append(str(error)))
    return somebody
