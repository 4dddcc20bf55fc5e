"""A plain registry taken over, by its API and in place: what is pulled is what was pushed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.client import blobs_of
from tests.live.plain_registry import PlainRegistry
from tests.live.stack import PATIENCE, ROOT, Stack, environment

pytestmark = pytest.mark.live

NAMES = {
    "plain-team/app:1.0": "image",
    "plain-team/app:multi": "index",
    "plain-team/deep/er:1.0": "image",
    "lonely:latest": "image",
}


@pytest.fixture(scope="module")
def plain(
    tmp_path_factory: pytest.TempPathFactory, image: Path, index: Path
) -> Iterator[PlainRegistry]:
    """A registry with images."""
    running = PlainRegistry(tmp_path_factory.mktemp("plain")).start()
    for name, kind in NAMES.items():
        running.push({"image": image, "index": index}[kind], name)
    yield running
    running.stop()


def manage(stack: Stack, *arguments: str) -> str:
    """Run a command of ``manage.py`` for a stack."""
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", *arguments],
        env=environment(stack.home, stack.port, **stack.settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(stack: Stack, prefix: str, layouts: dict[str, Path], folder: Path) -> None:
    """Pull everything through Moorage, and compare each byte."""
    for number, (name, kind) in enumerate(NAMES.items()):
        here = name if "/" in name else f"{prefix}/{name}"
        pulled = folder / str(number)
        done = stack.pull(here, pulled)
        assert done.returncode == 0, done.stderr
        assert blobs_of(pulled) == blobs_of(layouts[kind])


def test_by_its_api(
    stack: Stack, plain: PlainRegistry, image: Path, index: Path, tmp_path: Path
) -> None:
    order = ("import_registry", "--from", f"http://{plain.address}", "--project", "from-plain")
    said = manage(stack, *order)
    assert "done: 6 images" in said, said
    assert "done: 4 tags" in said, said
    check(stack, "from-plain", {"image": image, "index": index}, tmp_path)
    again = manage(stack, *order)
    assert "done: " not in again, again
    assert '"clean": true' in manage(stack, "fsck", "--json")


def test_in_place(plain: PlainRegistry, image: Path, index: Path, tmp_path: Path) -> None:
    own = Stack(tmp_path / "home", MOORAGE_STORAGE_ROOT=str(plain.root)).start()
    try:
        before = set(plain.root.rglob("data"))
        said = manage(own, "import_registry", "--project", "library")
        assert "done: 6 images" in said, said
        assert set(plain.root.rglob("data")) == before
        check(own, "library", {"image": image, "index": index}, tmp_path)
        assert '"clean": true' in manage(own, "fsck", "--json")
    finally:
        own.stop()
