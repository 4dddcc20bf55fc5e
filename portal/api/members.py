"""Members of a project: list, add, look at, change the role, remove."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, members
from accounts.errors import BadRequest, NotFound
from accounts.models import Project, ProjectMember, User
from accounts.roles import Role
from portal.api import projects, query
from portal.api.base import SignedIn
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed

_ROLE_NAMES = {
    Role.PROJECT_ADMIN: "projectAdmin",
    Role.DEVELOPER: "developer",
    Role.GUEST: "guest",
    Role.MAINTAINER: "maintainer",
    Role.LIMITED_GUEST: "limitedGuest",
}


class UserReference(serializers.Serializer[dict[str, Any]]):
    """The contract's ``UserEntity``: the number, or the name."""

    user_id = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=2**63 - 1
    )
    username = serializers.CharField(
        max_length=255, required=False, allow_null=True, allow_blank=True
    )


class RoleInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RoleRequest``."""

    role_id = serializers.ChoiceField(choices=[role.value for role in Role])


class MemberInput(RoleInput):
    """The contract's ``ProjectMember``."""

    member_user = UserReference(required=False, allow_null=True)
    member_group = serializers.JSONField(required=False, allow_null=True)


class MemberOutput(serializers.Serializer[ProjectMember]):
    """The contract's ``ProjectMemberEntity``."""

    id = serializers.IntegerField(source="pk")
    project_id = serializers.IntegerField()
    entity_name = serializers.CharField(source="user.username")
    role_name = serializers.SerializerMethodField()
    role_id = serializers.IntegerField(source="role")
    entity_id = serializers.IntegerField(source="user_id")
    entity_type = serializers.SerializerMethodField()

    def get_role_name(self, member: ProjectMember) -> str:
        """Return the contract's name of the role."""
        return _ROLE_NAMES[Role(member.role)]

    def get_entity_type(self, member: ProjectMember) -> str:
        """Every member is a user."""
        return "u"


class Members(Endpoint):
    """``/projects/{name_or_id}/members``."""

    permissions = {"GET": SignedIn, "POST": SignedIn}
    operations = {
        "GET": Operation(
            gives=MemberOutput, is_list=True, query=("entityname",), name="listProjectMembers"
        ),
        "POST": Operation(takes=MemberInput, status=201, name="createProjectMember"),
    }
    noun = "member"

    def get(self, request: Request, name_or_id: str) -> Response:
        """List the members."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "member:list", project)
        found = project.members.select_related("user").order_by("pk")
        name = query.text(request, "entityname")
        if name:
            found = found.filter(user__username__icontains=name)
        page = Page.of(request)
        return Response(
            listed(MemberOutput, page.rows(found)),
            headers=page.headers(request, page.total(found)),
        )

    def post(self, request: Request, name_or_id: str) -> Response:
        """Give a user a role."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "member:create", project)
        serializer = MemberInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        member = members.add(
            project, user=_user(wanted), role=Role(wanted["role_id"]), actor=self.actor
        )
        location = f"{API_ROOT}/projects/{project.pk}/members/{member.pk}"
        return Response(status=201, headers={"Location": location})


class OneMember(Endpoint):
    """``/projects/{name_or_id}/members/{member_id}``."""

    permissions = {"GET": SignedIn, "PUT": SignedIn, "DELETE": SignedIn}
    operations = {
        "GET": Operation(gives=MemberOutput, name="getProjectMember"),
        "PUT": Operation(takes=RoleInput, name="updateProjectMember"),
        "DELETE": Operation(name="deleteProjectMember"),
    }
    noun = "member"

    def get(self, request: Request, name_or_id: str, member_id: int) -> Response:
        """Show one member."""
        member = self._member(request, name_or_id, member_id, "member:read")
        return Response(MemberOutput(member).data)

    def put(self, request: Request, name_or_id: str, member_id: int) -> Response:
        """Change the role."""
        member = self._member(request, name_or_id, member_id, "member:update")
        serializer = RoleInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        role = Role(serializer.validated_data["role_id"])
        members.change_role(member, role=role, actor=self.actor)
        return Response()

    def delete(self, request: Request, name_or_id: str, member_id: int) -> Response:
        """Take a member out of the project."""
        member = self._member(request, name_or_id, member_id, "member:delete")
        members.remove(member, actor=self.actor)
        return Response()

    def _member(
        self, request: Request, name_or_id: str, member_id: int, action: str
    ) -> ProjectMember:
        """Find a member through its project, in which the caller may do that."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, action, project)
        return _find(project, member_id)


def _find(project: Project, member_id: int) -> ProjectMember:
    found = project.members.select_related("user").filter(pk=query.row_id(member_id)).first()
    if found is None:
        raise NotFound("member not found")
    return found


def _user(wanted: dict[str, Any]) -> User:
    reference = wanted.get("member_user") or {}
    if not reference:
        reason = "Groups are not available yet." if wanted.get("member_group") else "Name a user."
        raise BadRequest(reason, field="member_user")
    everybody = User.objects.filter(deleted_at=None)
    if reference.get("user_id"):
        user = everybody.filter(pk=reference["user_id"]).first()
    else:
        user = everybody.filter(username=(reference.get("username") or "").lower()).first()
    if user is None:
        raise BadRequest("There is no such user.", field="member_user")
    return user
