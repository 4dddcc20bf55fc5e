"""The stack: one started Moorage for all live tests that do not stop or break it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.harbor import HarborClient
from tests.live.images import write_image, write_index
from tests.live.stack import Stack
from tests.ports import free_port


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start it once; whoever breaks it uses one of their own.

    On SQLite; on PostgreSQL where ``python -m tests.postgres`` runs the tests.
    """
    database = os.environ.get("MOORAGE_TEST_DATABASE_URL", "")
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
