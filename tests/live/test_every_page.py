"""Every page in a browser: light and dark, English and Chinese, wide and narrow.

Each page is loaded once in each language; theme, width and length of the texts change in place. The
content security policy is in force throughout.
"""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polib
import pytest
from playwright.sync_api import Browser, Page

from tests.live import browser as chromium_browser
from tests.live import pseudo
from tests.live.browser import Visitor, visitor
from tests.live.jobs import Desk
from tests.live.page_list import MORE, OUTSIDE, PAGES
from tests.live.stack import ROOT, Stack

pytestmark = pytest.mark.live

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
SERIOUS = {"serious", "critical"}
WIDTHS = (1440, 375)
# No other site may frame a page, and nobody keeps what was made for one person.
HEADERS = {
    "x-frame-options": "DENY",
    "content-security-policy": "frame-ancestors 'none'",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    # The page of a reset link, whose address is a secret, sends less still.
    "referrer-policy": "origin",
}
# Bytes as they come over the wire, compressed: with nothing stored yet, and on every later page.
FIRST_LOAD, NEXT_LOAD = 200 * 1024, 20 * 1024
COLOURS = ["color-contrast"]
# The rules of axe about languages and about names.
WORDS = [
    *("html-has-lang", "html-lang-valid", "valid-lang", "document-title", "aria-dialog-name"),
    *("aria-command-name", "aria-input-field-name", "aria-toggle-field-name", "button-name"),
    *("empty-table-header", "image-alt", "input-button-name", "label", "link-name"),
    *("select-name", "summary-name", "svg-img-alt"),
]
OVER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# What page_intruders.HOSTILE would put into a page that does not escape it.
INTRUDERS = """
document.title === "taken over"
  || !!document.querySelector("img[src=x], script:not([src]), [href^=javascript i]")
"""
# Everything a person reads on a page or hears of it, except code and what others wrote.
TEXTS = """
() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!parent.closest("code, pre, script, style, option[value], [lang]:not(html)")) {
      found.push(walker.currentNode.textContent.trim());
    }
  }
  for (const name of ["aria-label", "title", "placeholder", "alt"]) {
    const named = document.querySelectorAll(`body [${name}]`);
    named.forEach((one) => found.push(one.getAttribute(name)));
  }
  return found.filter(Boolean);
}
"""
AUDIT = """
async ([theme, rules]) => {
  document.documentElement.dataset.theme = theme;
  document.documentElement.dataset.bsTheme = theme;
  const options = {resultTypes: ["violations"], preload: false};
  if (rules) options.runOnly = {type: "rule", values: rules};
  const result = await axe.run(document, options);
  return result.violations.map((one) => [
    one.id, one.impact, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)),
  ]);
}
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the module."""
    with chromium_browser.started() as browser:
        yield browser


@pytest.fixture(scope="module")
def scene(stack: Stack, image: Path, index: Path) -> dict[str, str]:
    """What fills the paths."""
    name = f"every-{secrets.token_hex(4)}"
    made = stack.request(
        "POST",
        "/api/v2.0/projects",
        json={"project_name": name},
        auth=("admin", stack.admin_password),
    )
    assert made.status_code == 201, made.text
    for layout, tag in ((image, "1.0"), (image, "old"), (image, "gone")):
        assert stack.push(layout, f"{name}/tools/hello:{tag}").returncode == 0
    assert stack.push(index, f"{name}/several:2.0").returncode == 0
    desk = Desk(stack)
    try:
        code = f"from tests.live.page_scene import make\nanswer = make({name!r})"
        found: dict[str, str] = desk.ask(code)
    finally:
        desk.close()
    return found


def untranslatable() -> set[str]:
    """Return the English texts that no Chinese page may show."""
    catalogue = polib.pofile(str(ROOT / "locale" / "zh_Hant" / "LC_MESSAGES" / "django.po"))
    return {
        entry.msgid
        for entry in catalogue
        if entry.msgstr and entry.msgstr != entry.msgid and re.match(r"[A-Z][a-z]", entry.msgid)
    }


class Inspector:
    """Looks at page after page, and keeps what is wrong."""

    def __init__(self, somebody: Visitor, *, is_chinese: bool) -> None:
        """Begin with nothing found."""
        self.somebody = somebody
        self.english = untranslatable() if is_chinese else set()
        # Once with all rules. The other theme changes nothing but colours, and the language nothing
        # but words: it is asked for those rules that words can break.
        self.audits = [("dark", WORDS)] if is_chinese else [("light", None), ("dark", COLOURS)]
        self.findings: list[str] = []
        # What came over the wire for the page at hand; the first page fills the browser's store.
        self.received = 0
        self.most = FIRST_LOAD
        network = somebody.context.new_cdp_session(somebody.page)
        network.send("Network.enable")
        network.on("Network.loadingFinished", self._receive)

    def look(self, path: str) -> None:
        """Open a page and note everything that is wrong with it."""
        page = self.somebody.page
        self.received = 0
        answer = page.goto(self.somebody.stack.url + path)
        assert answer is not None
        before = len(self.findings)
        if answer.status != 200:
            self.findings.append(f"status {answer.status}")
        for header, value in HEADERS.items():
            if value not in answer.headers.get(header, ""):
                self.findings.append(f"{header}: {answer.headers.get(header)}, without {value}")
        if self.received > self.most:
            self.findings.append(f"{self.received} bytes came, of {self.most} at most")
        self.most = NEXT_LOAD
        if page.locator("h1").count() != 1:
            self.findings.append(f"{page.locator('h1').count()} h1")
        if page.evaluate(INTRUDERS):
            self.findings.append("what people wrote became part of the page")
        self._audit(page)
        self.findings += [f"untranslated {text!r}" for text in self._untranslated(page)]
        self._measure(page, "")
        if not self.english:
            page.evaluate(pseudo.LENGTHEN)
            self._measure(page, " with longer texts")
        self.findings += self.somebody.complaints
        self.somebody.complaints.clear()
        self.findings[before:] = [f"{path}: {finding}" for finding in self.findings[before:]]

    def _receive(self, finished: dict[str, Any]) -> None:
        self.received += int(finished["encodedDataLength"])

    def _measure(self, page: Page, how: str) -> None:
        """Look for what has no room, at each width; the window begins wide and ends wide."""
        for width in (*WIDTHS, WIDTHS[0])[bool(how) :]:
            if page.viewport_size != {"width": width, "height": 900}:
                page.set_viewport_size({"width": width, "height": 900})
            over = page.evaluate(OVER)
            if over:
                self.findings.append(f"{over} px too wide at {width}{how}")
            if how:
                cut = page.evaluate(pseudo.CLIPPED)
                self.findings += [f"cut off at {width}{how}: {one}" for one in cut]

    def _audit(self, page: Page) -> None:
        for theme, rules in self.audits:
            found: list[tuple[str, str, Any]] = page.evaluate(AUDIT, [theme, rules])
            for rule, impact, nodes in found:
                if impact in SERIOUS:
                    self.findings.append(f"{impact} {rule} {json.dumps(nodes)}")

    def _untranslated(self, page: Page) -> list[str]:
        if not self.english:
            return []
        shown: list[str] = page.evaluate(TEXTS)
        return sorted({text for text in shown if text in self.english})


@pytest.mark.parametrize("language", ["en", "zh-hant"])
def test_nothing_is_wrong_with_any_page(
    chromium: Browser, stack: Stack, scene: dict[str, str], language: str
) -> None:
    somebody = visitor(chromium, stack, language=language)
    somebody.context.add_init_script(AXE)
    # Colours are looked at, and must not be on their way to others.
    somebody.page.emulate_media(reduced_motion="reduce")
    inspector = Inspector(somebody, is_chinese=language != "en")
    for path in OUTSIDE.values():
        if not path.endswith("/forgotten"):
            inspector.look(path.format_map(scene))
    somebody.sign_in()
    for path in (*PAGES.values(), *MORE):
        inspector.look(path.format_map(scene))
    somebody.context.close()
    assert inspector.findings == [], "\n".join(inspector.findings)
