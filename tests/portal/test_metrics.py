"""The figures for Prometheus: there for this machine, not for nginx's callers."""

import datetime

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import (
    executions,
    garbage,
    garbage_claims,
    garbage_counters,
    garbage_figures,
    queues,
    remote_registries,
)
from registry_sync.garbage_counters import Counter
from registry_sync.models import Blob, RemoteRegistry, ReplicationChange, ReplicationPolicy
from registry_sync.proxy_cache import figures
from registry_sync.remote_registries import Address
from registry_sync.replication import policies
from registry_sync.replication.policies import Terms
from tests.factories import make_blob

pytestmark = pytest.mark.django_db


def test_figures_of_jobs_are_told() -> None:
    executions.create("fsck", actor=SYSTEM_ACTOR)
    queues.pause("housekeeping", actor=SYSTEM_ACTOR)
    queues.show_worker("host:1", pool="thread", concurrency=4)
    answer = Client().get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    lines = answer.content.decode().splitlines()
    for line in (
        'moorage_jobs_queued{kind="fsck"} 1.0',
        'moorage_jobs_running{kind="fsck"} 0.0',
        'moorage_jobs_queue_paused{kind="housekeeping"} 1.0',
        'moorage_jobs_ended{kind="fsck",state="failed"} 0.0',
        'moorage_jobs_lease_takeovers{kind="fsck"} 0.0',
        "moorage_workers 1.0",
        "moorage_outbox_dead 0.0",
    ):
        assert line in lines


def test_figures_of_collection_are_told() -> None:
    make_blob(state="gone")
    make_blob(state="deleting")
    garbage_counters.count(Counter.TAKEOVERS, 3)
    lines = Client().get("/metrics").content.decode().splitlines()
    for line in (
        "moorage_garbage_tombstones 1.0",
        "moorage_garbage_removals 1.0",
        "moorage_garbage_takeovers_total 3.0",
        "moorage_garbage_precheck_waits_total 0.0",
        "moorage_garbage_unknown_after_head_total 0.0",
        "moorage_garbage_drift 0.0",
    ):
        assert line in lines


def test_figures_of_replication_are_told() -> None:
    remote = remote_registries.create(
        name="there", description="", address=Address("https://there.example"), actor=SYSTEM_ACTOR
    )
    RemoteRegistry.objects.update(status="healthy", checked_at=timezone.now())
    policy = policies.create(
        Terms("out", remote, trigger=ReplicationPolicy.Trigger.EVENT), actor=SYSTEM_ACTOR
    )
    long_ago = timezone.now() - datetime.timedelta(minutes=5)
    ReplicationChange.objects.create(
        policy=policy, repository_id=1, tag="v1", first_at=long_ago, last_at=long_ago
    )
    lines = Client().get("/metrics").content.decode().splitlines()
    assert 'moorage_replication_waiting{policy="out"} 1.0' in lines
    assert 'moorage_registry_up{registry="there"} 1.0' in lines
    (waited,) = [line for line in lines if line.startswith("moorage_replication_waiting_seconds{")]
    assert 300 <= float(waited.rpartition(" ")[2]) < 400
    assert not [line for line in lines if line.startswith("moorage_replication_success_age_")]


def test_the_oldest_removal_is_as_old_as_its_beginning() -> None:
    now = timezone.now()
    blob = make_blob(age=datetime.timedelta(days=2))
    claim = garbage_claims.claim([blob.digest], owner="test", before=now)
    assert claim.sizes
    Blob.objects.update(claimed_at=now - datetime.timedelta(seconds=90))
    # Its lease goes on, and somebody else goes on with it: it is as old as before.
    assert garbage_figures.health(garbage.KIND, now).oldest_removal == 90
    Blob.objects.update(claimed_until=now - datetime.timedelta(seconds=1))
    assert garbage_claims.take_over(owner="another")
    assert garbage_figures.health(garbage.KIND, now).oldest_removal == 90
    # One that is over has no beginning.
    Blob.objects.update(claimed_until=now - datetime.timedelta(seconds=1))
    for taken in garbage_claims.take_over(owner="another").values():
        garbage_claims.release(taken)
    assert garbage_figures.health(garbage.KIND, now).oldest_removal == 0
    assert Blob.objects.get().claimed_at is None


def test_nobody_else_is_told() -> None:
    assert Client().get("/metrics", headers={"X-Real-IP": "127.0.0.1"}).status_code == 404
    assert Client(REMOTE_ADDR="192.0.2.1").get("/metrics").status_code == 404
    assert Client().post("/metrics").status_code == 405


def test_figures_of_proxy_projects_are_told(team: Project) -> None:
    figures.note(team.pk, hits=3, misses=1, hit_bytes=500)
    figures.note(team.pk, hits=1, fetched_bytes=20)
    figures.flush()
    figures.note(team.pk, hits=1)
    figures.flush()
    lines = Client().get("/metrics").content.decode().splitlines()
    for line in (
        'moorage_proxy_hits_total{project="team"} 5.0',
        'moorage_proxy_misses_total{project="team"} 1.0',
        'moorage_proxy_fetched_bytes_total{project="team"} 20.0',
    ):
        assert line in lines
    found = figures.of_project(team.pk)
    assert found.hit_ratio == 5 / 6
    assert found.saved_bytes == 500
