"""docs/harbor-clients.md lists what the tests call, and nothing else."""

import re

import pytest

from tests.live.stack import ROOT

DOCUMENT = (ROOT / "docs" / "harbor-clients.md").read_text()
_CALL = re.compile(r'(?:\.call|\bdata|\bmade|\brefused)\(\s*(?:harbor, )?"((?:\w+Api\.)?[a-z_]+)"')


@pytest.mark.parametrize(
    ("library", "module"),
    [("harborapi", "test_harborapi"), ("harbor-api-client", "test_harbor_api_client")],
)
def test_the_methods_listed_are_those_called(library: str, module: str) -> None:
    called = set(_CALL.findall((ROOT / "tests" / "live" / f"{module}.py").read_text()))
    section = DOCUMENT.partition(f"\n## {library}: ")[2].partition("\n## ")[0]
    assert called == set(re.findall(r"`([\w.]+)`", section))
    assert section.startswith(f"{len(called)} methods")
    assert len(called) > 60
