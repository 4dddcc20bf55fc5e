"""docs/operations.md names every setting that the code reads."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_setting_is_documented() -> None:
    code = "".join(path.read_text() for path in sorted((ROOT / "portal").glob("*settings.py")))
    names = set(re.findall(r'"(MOORAGE_[A-Z_]*[A-Z])"', code))
    assert len(names) > 20
    documented = (ROOT / "docs" / "operations.md").read_text()
    assert {name for name in names if name not in documented} == set()
