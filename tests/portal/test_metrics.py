"""The figures for Prometheus: there for this machine, not for nginx's callers."""

import pytest
from django.test import Client

from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, queues

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


def test_nobody_else_is_told() -> None:
    assert Client().get("/metrics", headers={"X-Real-IP": "127.0.0.1"}).status_code == 404
    assert Client(REMOTE_ADDR="192.0.2.1").get("/metrics").status_code == 404
    assert Client().post("/metrics").status_code == 405
