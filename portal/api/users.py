"""Users: list, make, search, look at, change, delete; passwords and rights; oneself."""

from datetime import UTC
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import access, configuration, credentials, personal_tokens, users
from accounts.errors import BadRequest, Denied, NotFound, PreconditionFailed
from accounts.models import User
from accounts.principals import Principal
from portal.api import query
from portal.api.base import Administrators, InPerson, MaySystem, People, SignedIn, principal_of
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed

_SORTS = {
    "user_id": "pk",
    "username": "username",
    "email": "email",
    "creation_time": "created_at",
    "update_time": "updated_at",
}
_TEXTS = {"username": "username", "email": "email", "realname": "realname"}
_TIMES = {"creation_time": "created_at", "update_time": "updated_at"}
_NUMBERS = {"user_id": "pk"}
CLI_SECRET = "CLI secret"  # noqa: S105 - the token's name, no secret
_CLI_SCOPES = ["registry:pull", "registry:push", "registry:delete"]


class ListUsers(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "user:list"


class MakeUsers(MaySystem):
    """Administrators, robots that were given it, and strangers where they may register."""

    action = "user:create"
    message = "Only an administrator may do this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Ask; the switch is for those who have no account yet."""
        if principal_of(request).is_anonymous:
            return configuration.may_register()
        return super().has_permission(request, view)


class DeleteUsers(MaySystem):
    """Administrators, and robots that were given it."""

    action = "user:delete"


class UserInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``UserCreationReq``: it has no member that makes an administrator."""

    username = serializers.CharField(max_length=255)
    password = serializers.CharField(trim_whitespace=False)
    email = serializers.CharField(max_length=255, required=False, allow_blank=True)
    realname = serializers.CharField(max_length=255, required=False, allow_blank=True)
    comment = serializers.CharField(max_length=255, required=False, allow_blank=True)


class ProfileInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``UserProfile``, with the password that one's own new address takes."""

    email = serializers.CharField(max_length=255, required=False, allow_blank=True, allow_null=True)
    realname = serializers.CharField(
        max_length=255, required=False, allow_blank=True, allow_null=True
    )
    comment = serializers.CharField(
        max_length=255, required=False, allow_blank=True, allow_null=True
    )
    current_password = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False
    )


class PasswordInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``PasswordReq``."""

    old_password = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, trim_whitespace=False
    )
    new_password = serializers.CharField(trim_whitespace=False)


class AdministratorInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``UserSysAdminFlag``."""

    sysadmin_flag = serializers.BooleanField()


class CLISecretInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``OIDCCliSecretReq``."""

    secret = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, trim_whitespace=False
    )


class CLISecretOutput(serializers.Serializer[dict[str, str]]):
    """The secret, this once."""

    secret = serializers.CharField()


class UserOutput(serializers.Serializer[User]):
    """The contract's ``UserResp``."""

    user_id = serializers.IntegerField(source="pk")
    username = serializers.CharField()
    email = serializers.CharField()
    realname = serializers.CharField()
    comment = serializers.CharField()
    sysadmin_flag = serializers.BooleanField(source="is_administrator")
    # Whether a directory made the user an administrator; nobody's does yet.
    admin_role_in_auth = serializers.SerializerMethodField()
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    update_time = serializers.DateTimeField(source="updated_at", default_timezone=UTC)

    def get_admin_role_in_auth(self, user: User) -> bool:
        """Return what the contract asks for."""
        return False


class FoundUserOutput(serializers.Serializer[User]):
    """The contract's ``UserSearchRespItem``."""

    user_id = serializers.IntegerField(source="pk")
    username = serializers.CharField()


class Users(Endpoint):
    """``/users``."""

    permissions = {"GET": ListUsers, "POST": MakeUsers}
    operations = {
        "GET": Operation(gives=UserOutput, is_list=True, name="listUsers"),
        "POST": Operation(takes=UserInput, status=201, name="createUser"),
    }
    noun = "user"

    def get(self, request: Request) -> Response:
        """List everybody."""
        users_there = User.objects.filter(deleted_at=None)
        found = query.matching(users_there, request, _TEXTS, times=_TIMES, numbers=_NUMBERS)
        found = query.ordered(found, request, _SORTS)
        page = Page.of(request)
        return Response(
            listed(UserOutput, page.rows(found)),
            headers=page.headers(request, page.total(found)),
        )

    def post(self, request: Request) -> Response:
        """Make a user who is no administrator."""
        serializer = UserInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = users.create(**serializer.validated_data, actor=self.actor)
        return Response(status=201, headers={"Location": f"{API_ROOT}/users/{user.pk}"})


class UserSearch(Endpoint):
    """``/users/search``."""

    permissions = {"GET": SignedIn}
    operations = {
        "GET": Operation(
            gives=FoundUserOutput, is_list=True, query=("username",), name="searchUsers"
        )
    }

    def get(self, request: Request) -> Response:
        """Find the user of a name; who may list everybody finds them by a part of it."""
        name = query.text(request, "username").lower()
        if not name:
            raise BadRequest("username is needed.", field="username")
        everybody = User.objects.filter(is_active=True).order_by("username")
        may_list = self.principal.is_administrator or self.principal.is_auditor
        lookup = "username__icontains" if may_list else "username"
        found = everybody.filter(**{lookup: name})
        page = Page.of(request)
        return Response(
            listed(FoundUserOutput, page.rows(found)),
            headers=page.headers(request, page.total(found)),
        )


class OneUser(Endpoint):
    """``/users/{user_id}``."""

    permissions = {"GET": SignedIn, "PUT": People, "DELETE": DeleteUsers}
    operations = {
        "GET": Operation(gives=UserOutput, name="getUser"),
        "PUT": Operation(takes=ProfileInput, name="updateUserProfile"),
        "DELETE": Operation(name="deleteUser"),
    }
    noun = "user"

    def get(self, request: Request, user_id: int) -> Response:
        """Show one user."""
        return Response(UserOutput(find(user_id, principal=self.principal)).data)

    def put(self, request: Request, user_id: int) -> Response:
        """Change name, address and comment."""
        user = find(user_id, principal=self.principal)
        _require_self_or_administrator(self.principal, user)
        serializer = ProfileInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        header = request.META.get("HTTP_AUTHORIZATION", "")
        users.update_profile(
            user,
            email=wanted.get("email"),
            realname=wanted.get("realname"),
            comment=wanted.get("comment"),
            # Who sends the password with this very request need not send it twice.
            current_password=wanted.get("current_password") or credentials.password_in(header),
            actor=self.actor,
        )
        return Response()

    def delete(self, request: Request, user_id: int) -> Response:
        """Delete a user."""
        user = find(user_id, principal=self.principal)
        if user.is_administrator and not self.principal.is_administrator:
            raise Denied("Only an administrator may delete an administrator.")
        users.remove(user, actor=self.actor)
        return Response()


class UserPassword(Endpoint):
    """``/users/{user_id}/password``."""

    permissions = {"PUT": InPerson}
    operations = {"PUT": Operation(takes=PasswordInput, name="updateUserPassword")}
    noun = "user"

    def put(self, request: Request, user_id: int) -> Response:
        """Set one's own password with the old one; an administrator sets another's."""
        user = find(user_id, principal=self.principal)
        _require_self_or_administrator(self.principal, user)
        serializer = PasswordInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        if user.pk == self.principal.user_id:
            users.change_own_password(
                user,
                current=wanted.get("old_password") or "",
                password=wanted["new_password"],
                actor=self.actor,
            )
        else:
            users.change_password(user, password=wanted["new_password"], actor=self.actor)
        return Response()


class UserAdministrator(Endpoint):
    """``/users/{user_id}/sysadmin``."""

    permissions = {"PUT": Administrators}
    operations = {"PUT": Operation(takes=AdministratorInput, name="setUserSysAdmin")}
    noun = "user"

    def put(self, request: Request, user_id: int) -> Response:
        """Make somebody an administrator, or one no longer."""
        user = find(user_id, principal=self.principal)
        serializer = AdministratorInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        is_administrator = serializer.validated_data["sysadmin_flag"]
        users.set_administrator(user, is_administrator=is_administrator, actor=self.actor)
        return Response()


class UserCLISecret(Endpoint):
    """``/users/{user_id}/cli_secret``: a personal token of that name, made anew each time."""

    permissions = {"PUT": InPerson}
    operations = {
        "PUT": Operation(takes=CLISecretInput, gives=CLISecretOutput, name="setCliSecret")
    }
    noun = "token"

    def put(self, request: Request, user_id: int) -> Response:
        """Give oneself a new one; the one before ends."""
        user = find(user_id, principal=self.principal)
        if user.pk != self.principal.user_id:
            raise Denied("A CLI secret stands for its owner: only they can make one.")
        serializer = CLISecretInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        if serializer.validated_data.get("secret"):
            raise BadRequest("The secret is made here; leave it out.", field="secret")
        for token in personal_tokens.of_user(user).filter(name=CLI_SECRET):
            personal_tokens.revoke(user, token.pk, actor=self.actor)
        _token, secret = personal_tokens.create(
            user, name=CLI_SECRET, scopes=_CLI_SCOPES, actor=self.actor
        )
        return Response(CLISecretOutput({"secret": secret}).data)


class CurrentUser(Endpoint):
    """``/users/current``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=UserOutput, name="getCurrentUserInfo")}

    def get(self, request: Request) -> Response:
        """Show the caller."""
        return Response(UserOutput(oneself(self.principal)).data)


def oneself(principal: Principal) -> User:
    """Return the caller's own account. Raises ``PreconditionFailed`` for a robot."""
    if principal.user_id is None:
        raise PreconditionFailed("The caller is no user.")
    return User.objects.get(pk=principal.user_id)


def find(user_id: int, *, principal: Principal) -> User:
    """Return the user of that number, if the caller may know of them: not everybody's are there."""
    may_find_all = principal.is_administrator or principal.is_auditor
    if principal.robot_id is not None:
        may_find_all = any(
            access.can_system(principal, f"user:{verb}") for verb in ("read", "delete")
        )
    user = User.objects.filter(pk=query.row_id(user_id), deleted_at=None).first()
    if user is None or not (may_find_all or user.pk == principal.user_id):
        raise NotFound("user not found")
    return user


def _require_self_or_administrator(principal: Principal, user: User) -> None:
    if not principal.is_administrator and user.pk != principal.user_id:
        raise Denied("Only an administrator may change another user.")
