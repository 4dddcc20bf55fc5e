"""``/v2/_catalog``: the repositories that the caller may pull (distribution, "Catalog")."""

import orjson
from django.db.models import CharField, Q, Value
from django.db.models.functions import Concat
from django.http import HttpRequest, HttpResponse

from accounts.models import Project
from registry_sync.gateway.errors import protocol_view, respond
from registry_sync.gateway.standing import challenge, require_caller
from registry_sync.gateway.tags import page, page_size, text_of
from registry_sync.models import Repository

SCOPE = "registry:catalog:*"


@protocol_view("GET", "HEAD")
def catalog(request: HttpRequest) -> HttpResponse:
    """All names by project and path in byte order, or a page of ``n`` after ``last``."""
    claims = require_caller(request, SCOPE)
    if claims.grant("catalog", "*") is None:
        raise challenge(SCOPE, "insufficient_scope")
    limit = page_size(request)
    projects = Project.objects.visible_to(claims.principal)
    repositories = (
        Repository.objects.pushed().filter(project__in=projects).order_by("project__name", "path")
    )
    last_project, _, last_path = text_of(request, "last").partition("/")
    if last_project:
        repositories = repositories.filter(
            Q(project__name__gt=last_project) | Q(project__name=last_project, path__gt=last_path)
        )
    full_name = Concat("project__name", Value("/"), "path", output_field=CharField())
    names = repositories.values_list(full_name, flat=True)
    found, headers = page(names, limit, "/v2/_catalog")
    return respond(orjson.dumps({"repositories": found}), headers=headers)
