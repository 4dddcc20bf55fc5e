"""The role table is Harbor's."""

import itertools

import pytest

from accounts.roles import PUBLIC_ACTIONS, ROLE_ACTIONS, Role


def test_the_numbers_are_those_of_harbors_api() -> None:
    assert {role.name: role.value for role in Role} == {
        "PROJECT_ADMIN": 1,
        "DEVELOPER": 2,
        "GUEST": 3,
        "MAINTAINER": 4,
        "LIMITED_GUEST": 5,
    }


@pytest.mark.parametrize(
    ("action", "roles"),
    [
        ("project:read", set(Role)),
        ("project:delete", {Role.PROJECT_ADMIN}),
        ("repository:pull", set(Role)),
        ("repository:push", {Role.PROJECT_ADMIN, Role.MAINTAINER, Role.DEVELOPER}),
        ("repository:delete", {Role.PROJECT_ADMIN, Role.MAINTAINER}),
        ("tag:create", {Role.PROJECT_ADMIN, Role.MAINTAINER, Role.DEVELOPER}),
        ("tag:delete", {Role.PROJECT_ADMIN, Role.MAINTAINER}),
        ("artifact:delete", {Role.PROJECT_ADMIN, Role.MAINTAINER}),
        ("member:create", {Role.PROJECT_ADMIN}),
        ("member:list", set(Role) - {Role.LIMITED_GUEST}),
        ("log:list", {Role.PROJECT_ADMIN}),
        ("configuration:update", {Role.PROJECT_ADMIN}),
        ("tag-retention:operate", {Role.PROJECT_ADMIN, Role.MAINTAINER, Role.DEVELOPER}),
        ("nonsense:read", set()),
        ("repository:*", set()),
    ],
)
def test_who_may(action: str, roles: set[Role]) -> None:
    assert {role for role in Role if action in ROLE_ACTIONS[role]} == roles


def test_each_role_may_all_that_the_next_lower_may() -> None:
    ladder = (
        Role.PROJECT_ADMIN,
        Role.MAINTAINER,
        Role.DEVELOPER,
        Role.GUEST,
        Role.LIMITED_GUEST,
    )
    for higher, lower in itertools.pairwise(ladder):
        assert ROLE_ACTIONS[lower] <= ROLE_ACTIONS[higher]


def test_the_public_only_reads() -> None:
    verbs = {action.partition(":")[2] for action in PUBLIC_ACTIONS}
    assert verbs == {"read", "list", "pull"}
    assert "member:list" not in PUBLIC_ACTIONS
