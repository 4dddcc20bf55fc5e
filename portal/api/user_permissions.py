"""What the caller may do: in one project, or in the whole system."""

import re

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.models import Project
from accounts.roles import ALL_ACTIONS, PUBLIC_ACTIONS, SYSTEM_ACTIONS
from portal.api import query
from portal.api.base import SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import listed
from portal.api.permissions import PermissionOutput

_PROJECT_SCOPE = re.compile(r"/project/([0-9]{1,18})")


class CurrentPermissions(Endpoint):
    """``/users/current/permissions``."""

    permissions = {"GET": SignedIn}
    operations = {
        "GET": Operation(
            gives=PermissionOutput,
            is_list=True,
            is_whole=True,
            query=("scope", "relative"),
            name="getCurrentUserPermissions",
        )
    }

    def get(self, request: Request) -> Response:
        """List the caller's actions in ``scope``: ``/project/{id}`` or ``/system``."""
        scope = query.text(request, "scope").rstrip("/")
        is_relative = query.boolean(request.query_params.get("relative"), "relative")
        shown = []
        for action in sorted(self._actions(scope)):
            resource, _separator, verb = action.partition(":")
            # What is about the project itself has no name of its own below it.
            path = "" if resource == "project" and scope != "/system" else resource
            if not is_relative:
                path = f"{scope}/{path}".rstrip("/")
            shown.append({"resource": path or ".", "action": verb})
        return Response(listed(PermissionOutput, shown))

    def _actions(self, scope: str) -> frozenset[str]:
        if scope == "/system":
            may = access.can_system
            return frozenset(a for a in SYSTEM_ACTIONS if may(self.principal, a))
        matched = _PROJECT_SCOPE.fullmatch(scope)
        if matched is None:
            return frozenset()
        visible = Project.objects.visible_to(self.principal)
        project = visible.filter(pk=int(matched[1])).first()
        if project is None:
            return frozenset()
        public = PUBLIC_ACTIONS if project.is_public else frozenset()
        return ALL_ACTIONS & (access.rights(self.principal, [project])[project.pk] | public)
