"""Copies by the API and on pages: whole for every client, and no byte of a layer anew."""

from pathlib import Path

import pytest
import requests

from tests.live.client import blobs_of, make_project
from tests.live.stack import PATIENCE, Stack

pytestmark = pytest.mark.live


def stored(stack: Stack) -> dict[Path, tuple[int, int]]:
    """Each blob's file in the storage, with its inode and size."""
    blobs = stack.home / "registry" / "docker" / "registry" / "v2" / "blobs"
    found = {path: path.stat() for path in blobs.rglob("data")}
    return {path: (stat.st_ino, stat.st_size) for path, stat in found.items()}


def test_a_copied_index_pulls_identical_and_stores_nothing_new(
    stack: Stack, index: Path, tmp_path: Path
) -> None:
    source, destination = make_project(stack), make_project(stack)
    assert stack.push(index, f"{source}/app:1.0").returncode == 0
    before = stored(stack)
    for _again in range(2):
        copied = requests.post(
            f"{stack.url}/api/v2.0/projects/{destination}/repositories/deep%252Fcopy/artifacts",
            params={"from": f"{source}/app:1.0"},
            auth=("admin", stack.admin_password),
            timeout=PATIENCE,
        )
        assert copied.status_code == 201, copied.text
    assert stored(stack) == before
    pulled = stack.pull(f"{destination}/deep/copy:1.0", tmp_path)
    assert pulled.returncode == 0, pulled.stderr
    assert blobs_of(tmp_path) == blobs_of(index)
    # The source can go: the copy stands by itself.
    gone = requests.delete(
        f"{stack.url}/api/v2.0/projects/{source}/repositories/app",
        auth=("admin", stack.admin_password),
        timeout=PATIENCE,
    )
    assert gone.status_code == 200, gone.text
    again = stack.pull(f"{destination}/deep/copy:1.0", tmp_path / "again")
    assert again.returncode == 0, again.stderr
