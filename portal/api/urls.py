"""The URLs of the REST API, and a JSON 404 for every other path below ``/api/``."""

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from portal.api import projects, system, users
from portal.errors import json_error


@csrf_exempt  # It changes nothing, and a path that does not exist should say so.
def nothing_here(request: HttpRequest) -> HttpResponse:
    """Answer for a path that means nothing."""
    return json_error(404, "NOT_FOUND", "There is no such path in this API.")


urlpatterns = [
    path("v2.0/ping", system.Ping.as_view()),
    path("v2.0/health", system.Health.as_view()),
    path("v2.0/projects", projects.Projects.as_view()),
    path("v2.0/projects/<str:name_or_id>", projects.OneProject.as_view()),
    path("v2.0/users", users.Users.as_view()),
    path("v2.0/users/current", users.CurrentUser.as_view()),
    re_path(r"", nothing_here),
]
