"""Users: an administrator makes one; everyone may look at themselves."""

from datetime import UTC
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import users
from accounts.errors import PreconditionFailed
from accounts.models import User
from portal.api.base import Administrators, SignedIn
from portal.api.endpoint import API_ROOT, Endpoint


class UserInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``UserCreationReq``: it has no member that makes an administrator."""

    username = serializers.CharField(max_length=255)
    password = serializers.CharField(trim_whitespace=False)
    email = serializers.CharField(max_length=255, required=False, allow_blank=True)
    realname = serializers.CharField(max_length=255, required=False, allow_blank=True)
    comment = serializers.CharField(max_length=255, required=False, allow_blank=True)


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


class Users(Endpoint):
    """``/users``."""

    permissions = {"POST": Administrators}

    def post(self, request: Request) -> Response:
        """Make a user who is no administrator."""
        serializer = UserInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = users.create(**serializer.validated_data, actor=self.actor)
        return Response(status=201, headers={"Location": f"{API_ROOT}/users/{user.pk}"})


class CurrentUser(Endpoint):
    """``/users/current``."""

    permissions = {"GET": SignedIn}

    def get(self, request: Request) -> Response:
        """Show the caller."""
        if self.principal.user_id is None:
            raise PreconditionFailed("The caller is no user.")
        return Response(UserOutput(User.objects.get(pk=self.principal.user_id)).data)
