"""Robots: list, make, look at, change, give a new secret, delete."""

import datetime
from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, configuration, robots
from accounts.errors import BadRequest, NotFound
from accounts.models import Project, Robot
from accounts.principals import Principal
from accounts.robots import Terms
from portal.api import query, robot_permissions
from portal.api.base import SignedIn
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed

_SORTS = {"name": "name", "creation_time": "created_at", "update_time": "updated_at"}
_DAY = datetime.timedelta(days=1)
_MAX_OVERLAP_HOURS = 168


class AccessInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``Access``."""

    resource = serializers.CharField(max_length=64)
    action = serializers.CharField(max_length=64)
    effect = serializers.ChoiceField(choices=["allow", ""], required=False, allow_null=True)


class PermissionInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RobotPermission``: ``/`` is the system, ``*`` every project."""

    kind = serializers.ChoiceField(choices=["system", "project"])
    namespace = serializers.CharField(max_length=255)
    access = AccessInput(many=True)


class RobotInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RobotCreate`` and ``Robot``, with networks and tag patterns."""

    name = serializers.CharField(max_length=512)
    description = serializers.CharField(
        max_length=1024, required=False, allow_blank=True, allow_null=True
    )
    secret = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, trim_whitespace=False
    )
    level = serializers.ChoiceField(choices=["system", "project"])
    disable = serializers.BooleanField(required=False, allow_null=True)
    duration = serializers.IntegerField(
        required=False, allow_null=True, min_value=-1, max_value=robots.MAX_DAYS
    )
    permissions = PermissionInput(many=True)
    allowed_networks = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, allow_null=True, max_length=64
    )
    push_tag_patterns = serializers.ListField(
        child=serializers.CharField(max_length=256), required=False, allow_null=True, max_length=64
    )


class SecretInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RobotSec``; for ``overlap_hours`` the old secret works on."""

    secret = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, trim_whitespace=False
    )
    overlap_hours = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=_MAX_OVERLAP_HOURS
    )


class SecretOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RobotSec``; empty where the caller chose the secret."""

    secret = serializers.CharField(allow_blank=True)


class RobotCreatedOutput(serializers.Serializer[Robot]):
    """The contract's ``RobotCreated``: the only answer with the secret in it."""

    id = serializers.IntegerField(source="pk")
    name = serializers.SerializerMethodField()
    secret = serializers.SerializerMethodField()
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    expires_at = serializers.SerializerMethodField()

    def get_name(self, robot: Robot) -> str:
        """Return what it signs in with."""
        return robots.login_name(robot)

    def get_secret(self, robot: Robot) -> str:
        """Return the secret, this once."""
        return str(self.context["secret"])

    def get_expires_at(self, robot: Robot) -> int:
        """Return seconds since 1970, -1 for never."""
        return int(robot.expires_at.timestamp()) if robot.expires_at else -1


class RobotOutput(serializers.Serializer[Robot]):
    """The contract's ``Robot``, which never holds a secret, and what we add."""

    id = serializers.IntegerField(source="pk")
    name = serializers.SerializerMethodField()
    description = serializers.CharField()
    level = serializers.CharField()
    duration = serializers.SerializerMethodField()
    editable = serializers.SerializerMethodField()
    disable = serializers.BooleanField(source="is_disabled")
    expires_at = serializers.SerializerMethodField()
    permissions = serializers.SerializerMethodField()
    creator_type = serializers.SerializerMethodField()
    creator_ref = serializers.SerializerMethodField()
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    update_time = serializers.DateTimeField(source="updated_at", default_timezone=UTC)
    creator_name = serializers.CharField(source="created_by_name")
    allowed_networks = serializers.ListField(child=serializers.CharField())
    push_tag_patterns = serializers.ListField(child=serializers.CharField())
    last_used = serializers.DateTimeField(
        source="last_used_at", default_timezone=UTC, allow_null=True
    )
    last_used_address = serializers.CharField()

    def get_name(self, robot: Robot) -> str:
        """Return what it signs in with."""
        return robots.login_name(robot)

    def get_creator_ref(self, robot: Robot) -> int:
        """Return the maker's number, 0 for the system."""
        return robot.created_by_id or 0

    def get_duration(self, robot: Robot) -> int:
        """Return the days it was given, -1 for ever."""
        return _days(robot) or -1

    def get_editable(self, robot: Robot) -> bool:
        """Return what the contract asks for."""
        return True

    def get_expires_at(self, robot: Robot) -> int:
        """Return seconds since 1970, -1 for never."""
        return int(robot.expires_at.timestamp()) if robot.expires_at else -1

    def get_permissions(self, robot: Robot) -> list[dict[str, Any]]:
        """Return its grants, grouped as the contract has them."""
        return robot_permissions.shown(robot.grants.all())

    def get_creator_type(self, robot: Robot) -> str:
        """Return Harbor's word for who made it."""
        return "robot" if robot.created_by_kind == "robot" else "local"


class Robots(Endpoint):
    """``/robots``."""

    permissions = {"GET": SignedIn, "POST": SignedIn}
    operations = {
        "GET": Operation(gives=RobotOutput, is_list=True, name="ListRobot"),
        "POST": Operation(
            takes=RobotInput, gives=RobotCreatedOutput, status=201, name="CreateRobot"
        ),
    }
    noun = "robot"

    def get(self, request: Request) -> Response:
        """List the system's robots, or with q=Level=project,ProjectID=1 a project's."""
        found = _listed(request, self.principal)
        found = query.matching(
            found,
            request,
            {"name": "name", "description": "description"},
            others=("Level", "ProjectID"),
        )
        found = query.ordered(found, request, _SORTS)
        page = Page.of(request)
        rows = page.rows(found.prefetch_related("grants__project"))
        return Response(
            listed(RobotOutput, rows),
            headers=page.headers(request, page.total(found)),
        )

    def post(self, request: Request) -> Response:
        """Make a robot; the answer is the only one that ever holds its secret."""
        wanted = _wanted(request)
        project = None
        if wanted["level"] == Robot.Level.PROJECT:
            project = _own_project(wanted["permissions"], self.principal)
            access.require(self.principal, "robot:create", project)
        else:
            access.require_system(self.principal, "robot:create")
        terms = _terms(wanted, self.principal, days=configuration.default_robot_days())
        robot, secret = robots.create(
            name=wanted["name"],
            project=project,
            terms=terms,
            chosen=wanted.get("secret") or "",
            actor=self.actor,
        )
        return Response(
            RobotCreatedOutput(robot, context={"secret": secret}).data,
            status=201,
            headers={"Location": f"{API_ROOT}/robots/{robot.pk}"},
        )


class OneRobot(Endpoint):
    """``/robots/{robot_id}``."""

    permissions = {"GET": SignedIn, "PUT": SignedIn, "PATCH": SignedIn, "DELETE": SignedIn}
    operations = {
        "GET": Operation(gives=RobotOutput, name="GetRobotByID"),
        "PUT": Operation(takes=RobotInput, name="UpdateRobot"),
        "PATCH": Operation(takes=SecretInput, gives=SecretOutput, name="RefreshSec"),
        "DELETE": Operation(name="DeleteRobot"),
    }
    noun = "robot"

    def get(self, request: Request, robot_id: int) -> Response:
        """Show one robot."""
        return Response(RobotOutput(_find(robot_id, "robot:read", self.principal)).data)

    def put(self, request: Request, robot_id: int) -> Response:
        """Replace what its maker chose; members of ours that are missing stay as they are."""
        robot = _find(robot_id, "robot:update", self.principal)
        wanted = _wanted(request)
        if wanted["level"] != robot.level or wanted["name"] not in _names(robot):
            raise BadRequest("The level and the name of a robot cannot be changed.", field="name")
        terms = _terms(wanted, self.principal, days=_days(robot), present=robot)
        robots.update(robot, terms=terms, actor=self.actor)
        return Response()

    def patch(self, request: Request, robot_id: int) -> Response:
        """Give it a new secret: the chosen one, or a generated one, which is answered."""
        robot = _find(robot_id, "robot:update", self.principal)
        serializer = SecretInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        chosen = wanted.get("secret") or ""
        overlap = datetime.timedelta(hours=wanted.get("overlap_hours") or 0)
        _, secret = robots.refresh_secret(robot, chosen=chosen, overlap=overlap, actor=self.actor)
        return Response(SecretOutput({"secret": "" if chosen else secret}).data)

    def delete(self, request: Request, robot_id: int) -> Response:
        """Delete it."""
        robots.remove(_find(robot_id, "robot:delete", self.principal), actor=self.actor)
        return Response()


def _listed(request: Request, principal: Principal) -> QuerySet[Robot]:
    """Return the robots of the level that ``q`` names, if the caller may list them."""
    asked = dict(query.conditions(request))
    level = asked.get("Level", Robot.Level.SYSTEM)
    found = Robot.objects.filter(deleted_at=None, level=level).order_by("login")
    if level == Robot.Level.SYSTEM:
        access.require_system(principal, "robot:list")
        return found
    if level != Robot.Level.PROJECT:
        raise BadRequest("q knows Level=system and Level=project.", field="q")
    project_id = query.integer(asked.get("ProjectID"), "ProjectID")
    if project_id is None:
        raise BadRequest("q=Level=project needs ProjectID=<number>.", field="q")
    project = Project.objects.visible_to(principal).filter(pk=project_id).first()
    if project is None:
        raise NotFound("project not found")
    access.require(principal, "robot:list", project)
    return found.filter(project=project)


def _find(robot_id: int, action: str, principal: Principal) -> Robot:
    """Return the robot, looked up through its project; ``NotFound`` where it is not visible."""
    robot = (
        Robot.objects.filter(pk=query.row_id(robot_id), deleted_at=None)
        .select_related("project")
        .prefetch_related("grants__project")
        .first()
    )
    if robot is None or not _may_see(robot, principal):
        raise NotFound("robot not found")
    if robot.project is not None:
        access.require(principal, action, robot.project)
    else:
        access.require_system(principal, action)
    return robot


def _may_see(robot: Robot, principal: Principal) -> bool:
    if robot.project is None:
        return bool(access.can_system(principal, "robot:read"))
    is_visible = Project.objects.visible_to(principal).filter(pk=robot.project.pk).exists()
    return is_visible and bool(access.can(principal, "robot:read", robot.project))


def _wanted(request: Request) -> dict[str, Any]:
    serializer = RobotInput(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _names(robot: Robot) -> set[str]:
    return {robot.name, robot.login, robots.login_name(robot)}


def _days(robot: Robot) -> int | None:
    """Return the days from its making to its end."""
    return None if robot.expires_at is None else round((robot.expires_at - robot.created_at) / _DAY)


def _own_project(permissions: list[dict[str, Any]], principal: Principal) -> Project:
    if len(permissions) != 1 or permissions[0]["kind"] != "project":
        raise BadRequest(
            "A project's robot has one block of permissions, of its project.", field="permissions"
        )
    if permissions[0]["namespace"] in {"/", "*"}:
        raise BadRequest("The namespace of a project's robot is its project.", field="permissions")
    return robot_permissions.project_named(permissions[0]["namespace"], principal)


def _terms(
    wanted: dict[str, Any],
    principal: Principal,
    *,
    days: int | None,
    present: Robot | None = None,
) -> Terms:
    """Read the caller's choices; ``days`` and the present robot stand for what is missing."""
    duration = wanted.get("duration")
    if duration is not None and duration != 0:
        days = duration if duration > 0 else None
    networks, patterns = wanted.get("allowed_networks"), wanted.get("push_tag_patterns")
    if present is not None:
        networks = present.allowed_networks if networks is None else networks
        patterns = present.push_tag_patterns if patterns is None else patterns
    return Terms(
        description=wanted.get("description") or "",
        days=days,
        permissions=tuple(robot_permissions.read(wanted["permissions"], principal)),
        allowed_networks=tuple(networks or ()),
        push_tag_patterns=tuple(patterns or ()),
        is_disabled=bool(wanted.get("disable")),
    )
