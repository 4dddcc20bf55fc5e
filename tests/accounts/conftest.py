"""Keys of their own for the tests of accounts, and short names for the cast."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts import credentials, crypto, docker_tokens
from accounts.models import User
from accounts.principals import ANONYMOUS, Principal


@pytest.fixture(scope="session")
def key_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA and a leaf, made once."""
    directory = tmp_path_factory.mktemp("keys")
    crypto.ensure_keys(directory)
    return directory


@pytest.fixture
def keys(key_directory: Path, settings: Any) -> Iterator[Path]:
    """Sign and verify with those keys."""
    settings.MOORAGE_KEYS = key_directory
    docker_tokens.forget_keys()
    yield key_directory
    docker_tokens.forget_keys()


@pytest.fixture
def principal(cast: object) -> Callable[[str], Principal]:
    """Return a function from a username of the cast (or nothing) to a principal."""

    def find(username: str = "") -> Principal:
        if not username:
            return ANONYMOUS
        return credentials.principal_of_user(User.objects.get(username=username))

    return find
