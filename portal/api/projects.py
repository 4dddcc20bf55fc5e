"""Projects: list, make, look at, change, rename, delete."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, cve_allowlist, projects
from accounts.errors import BadRequest, NotFound, PreconditionFailed, Unauthorized
from accounts.models import Project, ProjectMember
from accounts.principals import Principal
from accounts.roles import Role
from portal.api import project_switches, proxy_switches, query
from portal.api.base import Anyone, SignedIn
from portal.api.cve_allowlist import CVEAllowlistOutput
from portal.api.cve_allowlist import read as read_allowlist
from portal.api.cve_allowlist import shown as shown_allowlist
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed
from portal.api.project_input import ProjectChangeInput, ProjectInput, ProjectNameInput
from registry_sync import project_removal
from registry_sync.models import ProxyCache, Repository, RetentionPolicy
from registry_sync.proxy_cache import projects as proxies

_TEXTS = {"name": "name", "owner": "owner__username"}
_TIMES = {"creation_time": "created_at", "update_time": "updated_at"}
_NUMBERS = {"project_id": "pk", "owner_id": "owner_id"}
_SORTS = {
    "project_id": "pk",
    "name": "name",
    "creation_time": "created_at",
    "update_time": "updated_at",
}
# Switches that protect: to take them in silence and do nothing would be worse than to refuse.
_PROTECTIONS = ("prevent_vul", "enable_content_trust", "enable_content_trust_cosign")


class DeletableOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ProjectDeletable``."""

    deletable = serializers.BooleanField()
    message = serializers.CharField()


class _FilledFrom(serializers.IntegerField):
    """The registry that fills a project; left out of one of one's own, as the contract does."""

    def get_attribute(self, instance: Project) -> int:
        """Return it. Raises ``SkipField`` where there is none."""
        caches: dict[int, ProxyCache] = self.context["caches"]
        cache = caches.get(instance.pk)
        if cache is None:
            raise serializers.SkipField
        return cache.remote_id


class ProjectOutput(serializers.Serializer[Project]):
    """The contract's ``Project``."""

    project_id = serializers.IntegerField(source="pk")
    owner_id = serializers.IntegerField()
    name = serializers.CharField()
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    update_time = serializers.DateTimeField(source="updated_at", default_timezone=UTC)
    deleted = serializers.SerializerMethodField()
    owner_name = serializers.CharField(source="owner.username")
    togglable = serializers.SerializerMethodField()
    current_user_role_id = serializers.SerializerMethodField()
    current_user_role_ids = serializers.SerializerMethodField()
    repo_count = serializers.SerializerMethodField()
    registry_id = _FilledFrom(required=False)
    metadata = serializers.SerializerMethodField()

    def get_deleted(self, project: Project) -> bool:
        """Tell whether the project is gone."""
        return project.deleted_at is not None

    def get_repo_count(self, project: Project) -> int:
        """Return how many repositories something was pushed to."""
        counts: dict[int, int] = self.context["counts"]
        return counts.get(project.pk, 0)

    def get_togglable(self, project: Project) -> bool:
        """Tell whether the caller may make the project public or private."""
        principal: Principal = self.context["principal"]
        return principal.is_administrator or self._role(project) == Role.PROJECT_ADMIN

    def get_current_user_role_id(self, project: Project) -> int:
        """Return the caller's role, 0 for none."""
        return self._role(project) or 0

    def get_current_user_role_ids(self, project: Project) -> list[int]:
        """Return the caller's role in a list."""
        role = self._role(project)
        return [role] if role else []

    def get_metadata(self, project: Project) -> dict[str, str]:
        """Return the contract's switches, which are texts there."""
        cache = self._cache(project)
        own = project_switches.shown(project)
        return own | (proxy_switches.shown(cache) if cache else {})

    def _cache(self, project: Project) -> ProxyCache | None:
        caches: dict[int, ProxyCache] = self.context["caches"]
        return caches.get(project.pk)

    def _role(self, project: Project) -> int | None:
        roles: dict[int, int] = self.context["roles"]
        return roles.get(project.pk)


class ProjectDetailOutput(ProjectOutput):
    """The contract's ``Project``, shown alone."""

    cve_allowlist = serializers.SerializerMethodField()

    @extend_schema_field(CVEAllowlistOutput)
    def get_cve_allowlist(self, project: Project) -> dict[str, Any]:
        """Return the list that holds: the project's own, or the system's."""
        return shown_allowlist(cve_allowlist.effective(project), project_id=project.pk)

    def get_metadata(self, project: Project) -> dict[str, str]:
        """Return the switches, and the number of the retention policy where there is one."""
        texts = super().get_metadata(project)
        policies = RetentionPolicy.objects.filter(project=project)
        number = policies.values_list("pk", flat=True).first()
        return texts | ({"retention_id": str(number)} if number is not None else {})


class Projects(Endpoint):
    """``/projects``."""

    permissions = {"GET": Anyone, "HEAD": Anyone, "POST": SignedIn}
    operations = {
        "GET": Operation(
            gives=ProjectOutput,
            is_list=True,
            name="listProjects",
            query=("name", "owner", "public"),
        ),
        "POST": Operation(takes=ProjectInput, status=201, name="createProject"),
    }

    def get(self, request: Request) -> Response:
        """List what the caller may know of."""
        found = _filtered(Project.objects.visible_to(self.principal), request)
        page = Page.of(request)
        return Response(
            output(page.rows(found.select_related("owner")), self.principal),
            headers=page.headers(request, page.total(found)),
        )

    def head(self, request: Request) -> Response:
        """Tell whether a project of that name exists, as far as the caller may know."""
        name = query.text(request, "project_name")
        if not name:
            raise BadRequest("project_name is required.", field="project_name")
        if not Project.objects.visible_to(self.principal).filter(name=name).exists():
            raise NotFound("project not found")
        return Response()

    def post(self, request: Request) -> Response:
        """Make a project; the caller becomes its administrator."""
        by_name = query.boolean(
            request.headers.get("X-Resource-Name-In-Location"), "X-Resource-Name-In-Location"
        )
        serializer = ProjectInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        _refuse_unavailable(wanted)
        project = self._create(wanted)
        name_or_id = project.name if by_name else project.pk
        return Response(status=201, headers={"Location": f"{API_ROOT}/projects/{name_or_id}"})

    def _create(self, wanted: dict[str, Any]) -> Project:
        limit = wanted.get("storage_limit")
        terms: dict[str, Any] = {
            "name": wanted["project_name"],
            "is_public": _is_public(wanted),
            # A quota is not for those it limits to set.
            "storage_limit": limit if self.principal.is_administrator else None,
            "actor": self.actor,
        }
        bounds = proxy_switches.changes(_texts(wanted, proxy_switches.KEYS))
        if not wanted.get("registry_id"):
            _require_no_bounds(bounds)
            return projects.create(**terms)
        return proxies.create(remote_id=wanted["registry_id"], bounds=bounds, **terms)


class OneProject(Endpoint):
    """``/projects/{name_or_id}``."""

    permissions = {"GET": Anyone, "PUT": SignedIn, "DELETE": SignedIn}
    operations = {
        "GET": Operation(gives=ProjectDetailOutput, name="getProject"),
        "PUT": Operation(takes=ProjectChangeInput, name="updateProject"),
        "DELETE": Operation(query=("force",), name="deleteProject"),
    }
    noun = "project"

    def get(self, request: Request, name_or_id: str) -> Response:
        """Show one project."""
        project = find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "project:read", project)
        return Response(output([project], self.principal, form=ProjectDetailOutput)[0])

    def put(self, request: Request, name_or_id: str) -> Response:
        """Change its switches, limit and allowlist; the name is changed by ``/rename``."""
        project = find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "project:update", project)
        serializer = ProjectChangeInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        _refuse_unavailable(wanted)
        bounds = proxy_switches.changes(_texts(wanted, proxy_switches.KEYS))
        with transaction.atomic():
            if project.is_proxy:
                proxies.update(project, changes=bounds, actor=self.actor)
            else:
                _require_no_bounds(bounds)
            projects.update(project, changes=_changes(wanted, self.principal), actor=self.actor)
            if wanted.get("cve_allowlist") is not None:
                cve_ids, expires_at = read_allowlist(wanted["cve_allowlist"])
                cve_allowlist.replace(
                    project, cve_ids=cve_ids, expires_at=expires_at, actor=self.actor
                )
        return Response()

    def delete(self, request: Request, name_or_id: str) -> Response:
        """Delete an empty project, or with ``force`` any."""
        is_forced = query.boolean(request.query_params.get("force"), "force")
        project = find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "project:delete", project)
        obstacle = _obstacle(project)
        if obstacle and not is_forced:
            raise PreconditionFailed(obstacle)
        project_removal.remove(project, actor=self.actor)
        return Response()


class ProjectDeletable(Endpoint):
    """``/projects/{name_or_id}/_deletable``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=DeletableOutput, name="getProjectDeletable")}

    def get(self, request: Request, name_or_id: str) -> Response:
        """Tell whether it can be deleted without force."""
        project = find(request, name_or_id, principal=self.principal)
        if not self.principal.is_auditor:
            access.require(self.principal, "project:delete", project)
        obstacle = _obstacle(project)
        shown = {"deletable": not obstacle, "message": obstacle}
        return Response(DeletableOutput(shown).data)


class ProjectName(Endpoint):
    """``/projects/{name_or_id}/rename``."""

    permissions = {"POST": SignedIn}
    operations = {"POST": Operation(takes=ProjectNameInput, name="renameProject")}
    noun = "project"

    def post(self, request: Request, name_or_id: str) -> Response:
        """Give it another name; for ``keep_days`` pulls by the former one still work."""
        project = find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "project:update", project)
        serializer = ProjectNameInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        days = wanted.get("keep_days")
        renamed = projects.rename(
            project,
            name=wanted["project_name"],
            alias_days=projects.ALIAS_DAYS if days is None else days,
            actor=self.actor,
        )
        return Response(headers={"Location": f"{API_ROOT}/projects/{renamed.name}"})


def find(request: Request, name_or_id: str, *, principal: Principal) -> Project:
    """Return the visible project of that name or number.

    Digits are a number unless X-Is-Resource-Name says that they are a name. A stranger is asked to
    sign in whether or not there is such a project.
    """
    is_name = query.boolean(request.headers.get("X-Is-Resource-Name"), "X-Is-Resource-Name")
    visible = Project.objects.visible_to(principal).select_related("owner")
    project = None
    if not is_name and name_or_id.isascii() and name_or_id.isdigit():
        if len(name_or_id) < 19:
            project = visible.filter(pk=int(name_or_id)).first()
    elif "\0" not in name_or_id:
        project = visible.filter(name=name_or_id).first()
    if project is None and principal.is_anonymous:
        raise Unauthorized("Sign in first.")
    if project is None:
        raise NotFound("project not found")
    return project


def _filtered(found: QuerySet[Project], request: Request) -> QuerySet[Project]:
    name = query.text(request, "name")
    owner = query.text(request, "owner")
    is_public = query.boolean(request.query_params.get("public"), "public")
    if name:
        found = found.filter(name__icontains=name)
    if owner:
        found = found.filter(owner__username=owner)
    if is_public is not None:
        found = found.filter(is_public=is_public)
    found = query.matching(
        found, request, _TEXTS, times=_TIMES, numbers=_NUMBERS, others=("public",)
    )
    for key, value in query.conditions(request):
        if key == "public":
            found = found.filter(is_public=bool(query.boolean(value, key)))
    return query.ordered(found, request, _SORTS)


def output(
    shown: Iterable[Project], principal: Principal, *, form: type[ProjectOutput] = ProjectOutput
) -> list[dict[str, Any]]:
    """Show projects as the contract has them, with the caller's role in each."""
    rows = list(shown)
    roles: dict[int, int] = {}
    if principal.user_id is not None:
        members = ProjectMember.objects.filter(user_id=principal.user_id, project__in=rows)
        roles = dict(members.values_list("project_id", "role"))
    pushed = Repository.objects.pushed().filter(project__in=rows).order_by().values("project_id")
    counts = dict(pushed.annotate(n=Count("pk")).values_list("project_id", "n"))
    filled = [project.pk for project in rows if project.is_proxy]
    caches = ProxyCache.objects.in_bulk(filled) if filled else {}
    context = {"roles": roles, "counts": counts, "caches": caches, "principal": principal}
    return listed(form, rows, context)


def _changes(wanted: dict[str, Any], principal: Principal) -> projects.Changes:
    switches = _texts(wanted, project_switches.KEYS)
    if wanted.get("public") is not None:
        switches.setdefault("public", str(wanted["public"]).lower())
    limit = wanted.get("storage_limit")
    # A quota is not for those it limits to set; as the contract has it, theirs is passed over.
    if limit is not None and access.can_system(principal, "quota:update"):
        return replace(project_switches.changes(switches), storage_limit=limit)
    return project_switches.changes(switches)


def _texts(wanted: dict[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Return those of the metadata that are given."""
    given = wanted.get("metadata") or {}
    return {name: given[name] for name in names if given.get(name) is not None}


def _require_no_bounds(bounds: proxies.Changes) -> None:
    """Raise ``BadRequest`` where a project of one's own is given what only proxy projects have.

    What Harbor's clients send for every project, no limit and no pattern, changes nothing.
    """
    if bounds.speed_limit or bounds.max_connections or bounds.pattern:
        raise BadRequest("Only a proxy project has limits towards its upstream.", field="metadata")


def _obstacle(project: Project) -> str:
    if Repository.objects.pushed().filter(project=project).exists():
        return "The project has repositories; delete them first, or say force=true."
    return ""


def _is_public(wanted: dict[str, Any]) -> bool:
    """Read ``metadata.public``, or the older ``public`` where that is missing."""
    text = (wanted.get("metadata") or {}).get("public")
    return text == "true" if text is not None else bool(wanted.get("public"))


def _refuse_unavailable(wanted: dict[str, Any]) -> None:
    metadata = wanted.get("metadata") or {}
    for name in _PROTECTIONS:
        if metadata.get(name) == "true":
            raise BadRequest(f"{name} is not available yet.", field=name)
