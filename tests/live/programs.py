"""Programs that tests run as people run them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def need(program: str) -> str:
    """Return where a program is, or skip."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def run(*command: str | Path, stdin: str = "", **environment: str) -> str:
    """Run a command that must succeed; return what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def fails(*command: str | Path, stdin: str = "", **environment: str) -> str:
    """Run a command that must fail; return what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode != 0, f"{command}: {done.stdout}"
    return done.stdout + done.stderr
