"""The cast: the same people and projects in every test.

``team`` is private: alice is its administrator, bob a developer, carol a guest. ``library`` is
public and belongs to the administrator. mallory belongs to nothing. A password is the username
followed by ``-password-12``.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.conf import settings
from django.utils import translation

from accounts import members, projects, users
from accounts.models import Project, User
from accounts.principals import SYSTEM_ACTOR
from accounts.roles import Role

# Where `make test` looks for live tests: collecting all the others takes some ten seconds.
_LIVE = {"live", "contracts"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a live test that would never be run."""
    for item in items:
        if item.get_closest_marker("live") and item.path.parent.name not in _LIVE:
            raise pytest.UsageError(f"{item.nodeid} is live, and lies elsewhere than in {_LIVE}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the process's home."""
    shutil.rmtree(settings.MOORAGE_HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """Begin every test in English: a page asked for in another language leaves it to the thread."""
    with translation.override(settings.LANGUAGE_CODE):
        yield


@dataclass(frozen=True)
class Cast:
    """Everybody, and their projects."""

    admin: User
    alice: User
    bob: User
    carol: User
    mallory: User
    team: Project
    library: Project


def password_of(username: str) -> str:
    """Return a member of the cast's password."""
    return f"{username}-password-12"


def make_user(username: str, *, is_administrator: bool = False) -> User:
    """Make somebody as the cast is made."""
    return users.create(
        username=username,
        password=password_of(username),
        email=f"{username}@example.com",
        is_administrator=is_administrator,
        actor=SYSTEM_ACTOR,
    )


@pytest.fixture
def cast(db: None) -> Cast:
    """Make the cast."""
    admin = make_user("admin", is_administrator=True)
    alice, bob, carol, mallory = map(make_user, ("alice", "bob", "carol", "mallory"))
    team = projects.create(name="team", owner=alice, actor=SYSTEM_ACTOR)
    library = projects.create(name="library", is_public=True, owner=admin, actor=SYSTEM_ACTOR)
    members.add(team, user=bob, role=Role.DEVELOPER, actor=SYSTEM_ACTOR)
    members.add(team, user=carol, role=Role.GUEST, actor=SYSTEM_ACTOR)
    return Cast(admin, alice, bob, carol, mallory, team, library)


@pytest.fixture
def admin(cast: Cast) -> User:
    """The system's administrator."""
    return cast.admin


@pytest.fixture
def alice(cast: Cast) -> User:
    """Administrator of ``team``."""
    return cast.alice


@pytest.fixture
def bob(cast: Cast) -> User:
    """Developer in ``team``."""
    return cast.bob


@pytest.fixture
def carol(cast: Cast) -> User:
    """Guest in ``team``."""
    return cast.carol


@pytest.fixture
def mallory(cast: Cast) -> User:
    """Member of nothing."""
    return cast.mallory


@pytest.fixture
def team(cast: Cast) -> Project:
    """The private project."""
    return cast.team


@pytest.fixture
def library(cast: Cast) -> Project:
    """The public project."""
    return cast.library
