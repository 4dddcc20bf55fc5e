"""Take the pictures of docs/screenshots/ from a stack that ``manage.py demo`` has filled.

A tool for developers; it needs Chromium and the tests' packages, and Pillow, which nothing else
here needs, to make the files a third as large::

    python manage.py up &
    python manage.py demo
    export MOORAGE_ADMIN_PASSWORD=…
    uv run --with pillow python -m tools.screenshots http://127.0.0.1:8080
"""

import io
import os
import sys
from importlib import import_module
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
CHROMIUM = "/usr/bin/chromium"
SIZE: ViewportSize = {"width": 1280, "height": 800}
LOOKS = (("en", "light"), ("en", "dark"), ("zh-hant", "light"), ("zh-hant", "dark"))
# What the README and the documentation show.
PAGES = {
    "home": "/",
    "tags": "/p/payments/api",
    "layers": "/p/payments/api/-/tags/1.4.2",
    "compare": "/compare?base=payments/api:1.4.1&head=payments/api:1.4.2",
    "retention": "/p/payments/-/retention",
    "activity": "/activity",
}


def main(url: str) -> None:
    """Sign in once for each look and take every picture."""
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-quic", "--no-proxy-server"]
        )
        for language, theme in LOOKS:
            page = _signed_in(browser, url, language, theme)
            for name, path in PAGES.items():
                page.goto(url + path)
                if name == "layers":
                    page.goto(_explorer(page))
                # What scripts write, such as how long ago something was.
                page.wait_for_load_state("networkidle")
                _store(page.screenshot(), FOLDER / f"{name}-{language}-{theme}.png")
            page.context.close()
        browser.close()


def _store(picture: bytes, path: Path) -> None:
    """Write a picture with 256 colours, which is what a page has apart from its letters' edges."""
    image = import_module("PIL.Image")
    image.open(io.BytesIO(picture)).convert("RGB").quantize(256).save(path, optimize=True)


def _signed_in(browser: Browser, url: str, language: str, theme: str) -> Page:
    context = browser.new_context(viewport=SIZE, reduced_motion="reduce")
    chosen = {"moorage_language": language, "theme": theme}
    context.add_cookies(
        [{"name": name, "value": value, "url": url} for name, value in chosen.items()]
    )
    page = context.new_page()
    page.goto(f"{url}/account/sign-in")
    page.locator("[name=username]").fill("admin")
    page.locator("[name=password]").fill(os.environ["MOORAGE_ADMIN_PASSWORD"])
    page.locator("main button[type=submit]").click()
    page.wait_for_url(lambda there: "/account/" not in there)
    return page


def _explorer(page: Page) -> str:
    """Return the layers' address of the first platform of the image at hand."""
    child = page.locator("#h-platforms").locator("xpath=ancestor::section").locator("a.mo-name")
    page.goto(page.url.partition("/p/")[0] + str(child.first.get_attribute("href")))
    return page.url + "/layers"


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
