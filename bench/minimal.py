"""The least that a list can be: Django without middleware, one indexed query, JSON."""

import os

import django
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()
settings.MIDDLEWARE = []
settings.ROOT_URLCONF = __name__
settings.ALLOWED_HOSTS = ["*"]

from django.core.wsgi import get_wsgi_application  # noqa: E402 - the settings come first

from registry_sync.models import Repository  # noqa: E402 - only once Django is set up

FIELDS = ("id", "path", "description", "created_at", "pushed_at")


def repositories(request: HttpRequest, project_id: int) -> JsonResponse:
    """List ten repositories of a project."""
    rows = Repository.objects.filter(project_id=project_id).order_by("path")[:10]
    return JsonResponse(list(rows.values(*FIELDS)), safe=False)


urlpatterns = [path("repositories/<int:project_id>", repositories)]
application = get_wsgi_application()
