"""May a project grow by so many bytes?"""

import pytest

from accounts.errors import Denied
from accounts.models import Project
from registry_sync import usage
from registry_sync.models import ProjectBlob, ProjectUsage
from registry_sync.quota import require_room
from tests.factories import make_image, make_repository, push_image, some_digest


@pytest.mark.parametrize(
    ("used", "added", "limit"), [(0, 10, 10), (9, 1, 10), (0, 2**62, -1), (20, 0, 10), (10, 0, 10)]
)
def test_there_is_room(used: int, added: int, limit: int) -> None:
    require_room(used=used, added=added, limit=limit)


@pytest.mark.parametrize(("used", "added", "limit"), [(0, 11, 10), (10, 1, 10), (20, 1, 10)])
def test_there_is_none(used: int, added: int, limit: int) -> None:
    with pytest.raises(Denied, match=str(used + added - limit)):
        require_room(used=used, added=added, limit=limit)


@pytest.mark.parametrize(
    ("used", "limit", "told"),
    [
        (5, 4, "limit of 4 B would be exceeded by 2 B"),
        (50 * 2**30, 50 * 2**30, "limit of 50.0 GiB would be exceeded by 1 B"),
        (1_000_000 + 1536, 1_000_000, "limit of 977 KiB would be exceeded by 1.50 KiB"),
        (2**52, 2**51, "limit of 2.00 PiB would be"),
    ],
)
def test_sizes_are_told_in_units(used: int, limit: int, told: str) -> None:
    with pytest.raises(Denied, match=told):
        require_room(used=used, added=1, limit=limit)


class TestEarlyAnswer:
    def test_a_project_without_a_limit_has_room(self, team: Project) -> None:
        usage.require_room(team.pk, {some_digest(): 2**62})

    def test_a_project_into_which_nothing_was_pushed_has_its_whole_limit(
        self, team: Project
    ) -> None:
        Project.objects.filter(pk=team.pk).update(storage_limit=10)
        usage.require_room(team.pk, {some_digest(): 10})
        with pytest.raises(Denied):
            usage.require_room(team.pk, {some_digest(): 11})

    def test_only_what_is_new_counts(self, team: Project) -> None:
        image = make_image()
        push_image(make_repository(team), image)
        Project.objects.filter(pk=team.pk).update(storage_limit=image.size + 1)
        known = dict(ProjectBlob.objects.values_list("digest", "size"))
        usage.require_room(team.pk, {**known, some_digest(): 1})
        with pytest.raises(Denied):
            usage.require_room(team.pk, {**known, some_digest(): 2})

    def test_it_changes_nothing(self, team: Project) -> None:
        usage.require_room(team.pk, {some_digest(): 5})
        assert not ProjectUsage.objects.exists()
        assert not ProjectBlob.objects.exists()
