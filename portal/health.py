"""Whether Moorage lives, for load balancers and monitoring: two views without credentials.

What is wrong is named in our own words: an upstream's error text may hold paths and addresses.
"""

import datetime
import os
import shutil
from collections.abc import Callable

import requests
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from registry_sync.configured_storage import bucket
from registry_sync.models import WorkerHeartbeat
from registry_sync.storage.base import StorageUnavailableError

_REGISTRY_TIMEOUT = 2.0
# Beat asks every 15 s for a sign of life.
_HEARTBEAT_AGE = datetime.timedelta(seconds=90)


@require_GET
def ping(request: HttpRequest) -> HttpResponse:
    """Answer ``Pong`` where the database answers us, else 503."""
    if _database():
        return HttpResponse("The database does not answer.", "text/plain", status=503)
    return HttpResponse("Pong", "text/plain")


@require_GET
def health(request: HttpRequest) -> JsonResponse:
    """Answer for each component; always 200, the state is in the body, as Harbor has it."""
    components = [_component(name, error) for name, error in errors().items()]
    healthy = all(component["status"] == "healthy" for component in components)
    return JsonResponse({"status": "healthy" if healthy else "unhealthy", "components": components})


def errors() -> dict[str, str]:
    """Ask every component; return what is wrong with each, nothing where it works."""
    return {name: check() for name, check in _CHECKS.items()}


def _component(name: str, error: str) -> dict[str, str]:
    if error:
        return {"name": name, "status": "unhealthy", "error": error}
    return {"name": name, "status": "healthy"}


def _core() -> str:
    """This process answers, or nobody would read this."""
    return ""


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        return "The database does not answer."
    return ""


def _registry() -> str:
    with requests.Session() as session:
        # A proxy of the environment must never see the registry's address.
        session.trust_env = False
        try:
            response = session.get(
                f"{settings.MOORAGE_REGISTRY_URL}/v2/",
                timeout=_REGISTRY_TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException:
            return "The registry does not answer."
    # Without a token it must refuse; anything else is not our registry, or an open one.
    return "" if response.status_code == 401 else "The registry does not answer as it should."


def _storage() -> str:
    stored = bucket()
    if stored is not None:
        try:
            stored.read_marker()
        except StorageUnavailableError:
            return "The bucket cannot be used."
        return ""
    root = settings.MOORAGE_STORAGE_ROOT
    if not root.is_dir():
        return "The storage directory is missing."
    if not os.access(root, os.W_OK | os.X_OK):
        return "The storage directory cannot be written to."
    if shutil.disk_usage(root).free == 0:
        return "The storage is full."
    return ""


def _jobservice() -> str:
    """One row proves broker, scheduler and worker: the worker writes it when beat asks."""
    try:
        alive = WorkerHeartbeat.objects.filter(beat_at__gt=timezone.now() - _HEARTBEAT_AGE).exists()
    except DatabaseError:
        return "The state of the workers is unknown."
    return "" if alive else "No worker has given a sign of life lately."


_CHECKS: dict[str, Callable[[], str]] = {
    "core": _core,
    "database": _database,
    "registry": _registry,
    "storage": _storage,
    "jobservice": _jobservice,
}
