"""What counts as a pull, whose it is, and what is shown of it."""

import datetime
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from accounts.models import Project, User
from accounts.principals import Actor, Principal
from registry_sync import statistics
from registry_sync.models import PullDay, Repository
from registry_sync.statistics import Pulls
from tests.factories import Image, make_image, make_index, make_repository, push_image
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.conftest import Caller, Sign

V1 = "team/app/manifests/v1"


@pytest.fixture(autouse=True)
def _nothing_is_noted() -> Iterator[None]:
    statistics.discard()
    yield
    statistics.discard()


@pytest.fixture
def app(team: Project, registry: FakeRegistry) -> Repository:
    """``team/app``."""
    return make_repository(team)


@pytest.fixture
def image(app: Repository) -> Image:
    """Pushed as ``team/app:v1``."""
    image = make_image()
    push_image(app, image, "v1")
    return image


def counts(repository: Repository, reference: str = "") -> tuple[int, int]:
    """Write what was noted; return the people's pulls and the automatic ones."""
    statistics.flush()
    if reference:
        found = statistics.of_references([repository.pk], [reference])
        pulls = found.get((repository.pk, reference), Pulls())
    else:
        pulls = statistics.of_repositories([repository.pk]).get(repository.pk, Pulls())
    return pulls.count, pulls.automatic


class TestCounted:
    def test_a_pull_by_tag_counts_for_tag_artifact_and_repository(
        self, bob_app: Caller, app: Repository, image: Image
    ) -> None:
        bob_app.get(V1)
        assert counts(app) == counts(app, "v1") == counts(app, image.digest) == (1, 0)

    def test_a_pull_by_digest_counts_for_no_tag(
        self, bob_app: Caller, app: Repository, image: Image
    ) -> None:
        bob_app.get(f"team/app/manifests/{image.digest}")
        assert counts(app) == counts(app, image.digest) == (1, 0)
        assert counts(app, "v1") == (0, 0)

    def test_who_pulled_last_and_when(
        self, bob_app: Caller, carol_app: Caller, app: Repository, image: Image
    ) -> None:
        before = timezone.now()
        bob_app.get(V1)
        carol_app.get(V1)
        statistics.flush()
        found = statistics.of_references([app.pk], ["v1"])[app.pk, "v1"]
        assert (found.pulled_by_kind, found.pulled_by) == ("user", "carol")
        assert found.pulled_at is not None
        assert before <= found.pulled_at <= timezone.now()

    def test_a_batch_that_comes_late_does_not_turn_the_time_back(
        self, bob_app: Caller, app: Repository, image: Image
    ) -> None:
        bob_app.get(V1)
        late = list(statistics._noted)
        bob_app.get(V1)
        statistics.flush()
        newest = statistics.of_references([app.pk], ["v1"])[app.pk, "v1"].pulled_at
        statistics._noted.extend(late)
        assert counts(app, "v1") == (3, 0)
        assert statistics.of_references([app.pk], ["v1"])[app.pk, "v1"].pulled_at == newest


class TestNotCounted:
    def test_a_head(self, bob_app: Caller, app: Repository, image: Image) -> None:
        bob_app.head(V1)
        assert counts(app) == (0, 0)

    def test_what_was_not_found(self, bob_app: Caller, app: Repository, image: Image) -> None:
        bob_app.get("team/app/manifests/other")
        assert counts(app) == (0, 0)

    def test_a_copy_that_is_still_right_but_it_is_in_use(
        self, bob_app: Caller, app: Repository, image: Image
    ) -> None:
        assert bob_app.get(V1, If_None_Match=f'"{image.digest}"').status_code == 304
        assert counts(app, "v1") == (0, 0)
        assert statistics.of_references([app.pk], ["v1"])[app.pk, "v1"].pulled_by == "bob"


class TestIndex:
    @pytest.fixture
    def child(self, app: Repository) -> Image:
        """One platform of ``team/app:multi``."""
        child, other = make_image(), make_image()
        for each in (child, other):
            push_image(app, each, "")
        push_image(app, make_index(child, other), "multi", children=(child, other))
        return child

    def test_its_platform_is_no_second_pull_but_in_use(
        self, bob_app: Caller, app: Repository, child: Image
    ) -> None:
        bob_app.get("team/app/manifests/multi")
        bob_app.get(f"team/app/manifests/{child.digest}")
        assert counts(app) == counts(app, "multi") == (1, 0)
        assert counts(app, child.digest) == (0, 0)
        found = statistics.of_references([app.pk], [child.digest])
        assert found[app.pk, child.digest].pulled_at is not None

    def test_another_persons_pull_of_the_platform_counts(
        self, bob_app: Caller, carol_app: Caller, app: Repository, child: Image
    ) -> None:
        bob_app.get("team/app/manifests/multi")
        carol_app.get(f"team/app/manifests/{child.digest}")
        assert counts(app) == (2, 0)

    def test_a_platform_alone_counts(self, bob_app: Caller, app: Repository, child: Image) -> None:
        bob_app.get(f"team/app/manifests/{child.digest}")
        assert counts(app, child.digest) == (1, 0)


class TestAutomatic:
    @pytest.mark.parametrize("client", ["Trivy/0.60", "moorage", "harbor-registry-client"])
    def test_scanners_and_replication_are_kept_apart(
        self, bob_app: Caller, app: Repository, image: Image, client: str
    ) -> None:
        bob_app.get(V1, User_Agent=client)
        assert counts(app) == counts(app, "v1") == (0, 1)
        # Nobody uses it: retention must not take it for pulled.
        assert statistics.of_references([app.pk], ["v1"])[app.pk, "v1"].pulled_at is None

    @pytest.mark.parametrize("client", ["docker/28.0", "containerd/2.0", "skopeo/1.18", ""])
    def test_clients_of_people_are_not(
        self, bob_app: Caller, app: Repository, image: Image, client: str
    ) -> None:
        bob_app.get(V1, User_Agent=client)
        assert counts(app) == (1, 0)


class TestWriting:
    def test_what_cannot_be_written_stays_noted(
        self, bob_app: Caller, app: Repository, image: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_args: object) -> None:
            raise DatabaseError

        bob_app.get(V1)
        with monkeypatch.context() as patch:
            patch.setattr(statistics, "_write", fail)
            with pytest.raises(DatabaseError):
                statistics.flush()
        bob_app.get(V1)
        assert counts(app) == (2, 0)

    def test_nothing_noted_writes_nothing(self, app: Repository) -> None:
        assert statistics.flush() == 0

    def test_many_pulls_are_few_statements(
        self, bob_app: Caller, app: Repository, image: Image, django_assert_max_num_queries: object
    ) -> None:
        for _time in range(50):
            bob_app.get(V1)
        with django_assert_max_num_queries(6):  # type: ignore[operator]
            assert statistics.flush() == 50
        assert counts(app) == (50, 0)

    def test_more_rows_than_go_into_one_statement(
        self, app: Repository, bob: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(statistics, "_ROWS_AT_ONCE", 3)
        pull(app, [f"v{number}" for number in range(10)], timezone.now())
        assert statistics.flush() == 10
        assert PullDay.objects.count() == 11


# As a server does: its threads are daemons, and nothing of theirs is waited for at the end.
PROCESS = """
import threading
import django
django.setup()
from django.conf import settings
from accounts.principals import ANONYMOUS, Actor
from registry_sync import statistics
settings.MOORAGE_PULL_FLUSH_SECONDS = 60
statistics.flush = lambda: print("written:", len(statistics._noted))
def serve():
    statistics.note(1, digest="sha256:0", tag="v1", actor=Actor(ANONYMOUS))
server = threading.Thread(target=serve, daemon=True)
server.start()
server.join()
"""


def test_a_process_that_ends_writes_what_it_noted() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROCESS],
        cwd=settings.BASE_DIR,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == "written: 1\n", ended.stderr


def pull(repository: Repository, tags: list[str], at: datetime.datetime) -> None:
    """Note one pull of each tag at that time."""
    actor = Actor(Principal("user", "bob"))
    for tag in tags:
        statistics._noted.append(
            statistics.Pull(repository.pk, "sha256:" + "0" * 64, tag, actor, at, is_counted=True)
        )


class TestDays:
    def test_each_day_is_there_and_those_without_pulls_are_zero(self, app: Repository) -> None:
        today = datetime.datetime(2026, 3, 2, 12, tzinfo=datetime.UTC)
        pull(app, ["v1", "v1", "v2"], today)
        pull(app, ["v1"], today - datetime.timedelta(days=2))
        statistics.flush()
        found = statistics.days_of_repository(app.pk, days=4, today=today.date())
        assert [(day.day.isoformat(), day.count) for day in found] == [
            ("2026-02-27", 0),
            ("2026-02-28", 1),
            ("2026-03-01", 0),
            ("2026-03-02", 3),
        ]
        of_tag = statistics.days_of_repository(app.pk, reference="v2", days=2, today=today.date())
        assert [day.count for day in of_tag] == [0, 1]

    def test_a_projects_days_are_its_repositories_together(
        self, app: Repository, team: Project, library: Project
    ) -> None:
        now = timezone.now()
        pull(app, ["v1"], now)
        pull(make_repository(team, "other"), ["v1", "v2"], now)
        pull(make_repository(library), ["v1"], now)
        statistics.flush()
        assert [day.count for day in statistics.days_of_project(team.pk, days=1)] == [3]

    def test_old_days_are_dropped_and_the_totals_stay(self, app: Repository) -> None:
        now = timezone.now()
        pull(app, ["v1"], now - datetime.timedelta(days=500))
        pull(app, ["v1"], now)
        statistics.flush()
        assert statistics.prune((now - datetime.timedelta(days=400)).date()) == 2
        assert counts(app) == (2, 0)


def test_pulls_of_nobody_in_particular(
    token_for: Sign, library: Project, registry: FakeRegistry
) -> None:
    Project.objects.filter(pk=library.pk).update(is_public=True)
    repository = make_repository(library)
    push_image(repository, make_image(), "v1")
    name = f"library/{repository.path}"
    token_for(None, f"repository:{name}:pull").get(f"{name}/manifests/v1")
    assert counts(repository) == (1, 0)
    found = statistics.of_repositories([repository.pk])[repository.pk]
    assert found.pulled_by_kind == "anonymous"
