"""The grace of garbage collection has a floor that only a test may go below."""

import os
import subprocess
import sys

import pytest


def _start(**environment: str) -> subprocess.CompletedProcess[str]:
    """Read the settings in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOORAGE_")}
    return subprocess.run(
        [sys.executable, "-c", "import portal.settings as s; print(s.MOORAGE_GC_GRACE)"],
        env={**kept, "MOORAGE_SECRET_KEY": "x" * 60, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("grace", ["0", "-1", "1799", "soon"])
def test_it_cannot_be_below_its_floor(grace: str) -> None:
    done = _start(MOORAGE_GC_GRACE=grace)
    assert done.returncode != 0
    assert "MOORAGE_GC_GRACE" in done.stderr.splitlines()[-1]


def test_at_its_floor_it_is_taken() -> None:
    assert _start(MOORAGE_GC_GRACE="1800").stdout == "1800\n"


@pytest.mark.parametrize(("grace", "is_taken"), [("2", True), ("0", False), ("-1", False)])
def test_a_test_may_go_below_it_but_not_to_nothing(grace: str, *, is_taken: bool) -> None:
    done = _start(MOORAGE_GC_GRACE=grace, MOORAGE_UNSAFE_GC_GRACE="1")
    assert (done.returncode == 0) is is_taken, done.stderr
