"""The rules of collection that can be switched off are those of the code; the page names them."""

from pathlib import Path

import pytest

from tools.garbage_mutations import ROOT, switched_off
from tools.garbage_rule import Rule
from tools.garbage_rules import RULES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_it_can_be_switched_off(rule: Rule) -> None:
    for path, text in switched_off(rule, ROOT).items():
        assert path.suffix == ".py"
        compile(text, path, "exec")
        assert text != path.read_text()
    assert all(Path(ROOT, test.split("::")[0]).exists() for test in rule.tests)


def test_the_document_names_each() -> None:
    page = (ROOT / "docs/garbage-collection.md").read_text()
    assert [rule.name for rule in RULES if f"| {rule.name} |" not in page] == []
