"""The stack: one started Moorage for all live tests that do not stop or break it.

``make test`` runs them in two processes, file by file (``--dist loadfile``), each with a stack of
its own.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.harbor import HarborClient
from tests.live.images import write_image, write_index
from tests.live.stack import Stack
from tests.ports import free_port
from tests.postgres import another_database

# The files that take longest, the longest first; begun last, one of them would keep one process
# busy while the other has nothing to do. All others, and the tests of each, come in random order.
_LONGEST = (
    "test_chaos.py",
    "test_up.py",
    "test_every_page.py",
    "test_jobs_redis.py",
    "test_journeys.py",
    "test_jobs_embedded.py",
    "test_two_moorages.py",
    "test_tokens.py",
    "test_limits.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; by then the order is random (pytest-randomly)."""
    here = Path(__file__).parent
    ranks = {here / name: rank for rank, name in enumerate(_LONGEST)}
    for path in ranks:
        assert path.exists(), f"{path} is gone: remove it from _LONGEST"
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Stack]:
    """Start it once; whoever breaks it uses one of their own.

    On SQLite; on PostgreSQL where ``python -m tests.postgres`` runs the tests.
    """
    database = os.environ.get("MOORAGE_TEST_DATABASE_URL", "")
    if database and worker_id != "master":
        # Every process of pytest-xdist has a stack of its own.
        database = another_database(database, f"live-{worker_id}")
    # Other registries of the tests are on this host too.
    settings = {
        "MOORAGE_OUTBOUND_ALLOW": "127.0.0.0/8",
        "MOORAGE_MIRROR_PORT": str(free_port()),
        "MOORAGE_MIRROR_PROJECT": "hub",
    }
    if database:
        settings["MOORAGE_DATABASE_URL"] = database
    running = Stack(tmp_path_factory.mktemp("moorage"), port=None, **settings).start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout of one small image."""
    layout = tmp_path_factory.mktemp("image")
    write_image(layout, files={"hello": b"hello\n", "world": b"world\n" * 1000})
    return layout


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout of one image for two platforms."""
    layout = tmp_path_factory.mktemp("index")
    write_index(layout, files={"hello": b"hello\n"})
    return layout


@pytest.fixture(scope="module")
def harbor(stack: Stack) -> Iterator[HarborClient]:
    """harborapi, signed in as the administrator."""
    with HarborClient("harborapi", stack) as client:
        yield client
