"""Celery tasks: thin doors, safe to run twice."""

import socket

from celery import shared_task
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from accounts import throttle
from accounts.crypto import ensure_keys
from registry_sync.models import WorkerHeartbeat


@shared_task
def heartbeat() -> None:
    """Prove that scheduler, broker and worker work together."""
    WorkerHeartbeat.objects.update_or_create(
        name=socket.gethostname(), defaults={"beat_at": timezone.now()}
    )


@shared_task
def housekeeping() -> None:
    """Renew the signing leaf where it is due; drop what no longer counts."""
    ensure_keys(settings.MOORAGE_KEYS)
    throttle.remove_old(timezone.now())
    call_command("clearsessions")
