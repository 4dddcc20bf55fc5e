"""Markdown from people can do no harm."""

import re

import pytest

from portal.web.markdown import html_of, summary_of

# A beginning of OWASP's list, and what Markdown adds to it.
PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox(1))",
    '[x](https://e.example/"onmouseover="alert(1))',
    "[x](https://e.example 'a\" onmouseover=\"alert(1)')",
    "![x](https://tracker.example/pixel.png)",
    "![x](javascript:alert(1))",
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "```<script>\n<script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "# <style>*{display:none}</style>",
    "<!--><script>alert(1)</script>-->",
    "<div style='position:fixed'>x</div>",
    "[x](https://e.example){onclick=alert(1)}",
)
ALLOWED = re.compile(r"</?([a-z0-9]+)((?: [a-z]+=\"[^\"<>]*\")*)/?>")
HARMLESS = {"href", "title", "rel", "start"}


@pytest.mark.parametrize("text", PAYLOADS)
def test_a_payload_is_text(text: str) -> None:
    html = html_of(text)
    rest = ALLOWED.sub("", html)
    assert "<" not in rest, "every tag is one of ours, well formed"
    for name, attributes in ALLOWED.findall(html):
        assert name not in {"script", "style", "img", "svg", "iframe", "form", "div", "math"}
        for attribute, value in re.findall(r'([a-z]+)="([^"]*)"', attributes):
            assert attribute in HARMLESS
            if attribute == "href":
                assert value.startswith("https://")


def test_what_people_write() -> None:
    html = html_of(
        "# One\n\n###### Six\n\n*a* **b** ~~c~~ `d` [e](https://e.example) [f](/p/library)\n\n"
        "1. g\n\n> h\n\n|i|\n|-|\n|j|\n\n---"
    )
    assert "<h2>One</h2>" in html
    assert "<h6>Six</h6>" in html
    for part in ("<em>a</em>", "<strong>b</strong>", "<s>c</s>", "<code>d</code>", "<td>j</td>"):
        assert part in html
    assert '<a href="https://e.example" rel="nofollow noopener noreferrer">e</a>' in html
    assert '<a href="/p/library" rel="nofollow noopener noreferrer">f</a>' in html
    assert "<h1" not in html


@pytest.mark.parametrize("text", [">" * 20_000, "[" * 20_000, "*" * 20_000, "`" * 20_001])
def test_deep_nesting_costs_no_time(text: str) -> None:
    assert len(html_of(text)) < 200_000


def test_the_first_paragraph_stands_for_the_whole() -> None:
    assert summary_of("# Title\n\nIt *does* `x`\nwell.\n\nMore.") == "It does x well."
    assert summary_of("# Title") == ""
    assert summary_of("<b>x</b> & [y](https://e.example)") == "<b>x</b> & y"
    assert len(summary_of("x" * 5000)) == 300
