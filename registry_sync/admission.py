"""May this push proceed? Asked early, before bytes go upstream, and again under the locks."""

import json

from django.utils.translation import gettext as _
from wcmatch import fnmatch

from accounts import configuration, statements
from accounts.errors import Denied
from accounts.principals import Principal
from accounts.statements import Statement

_GLOB = fnmatch.BRACE | fnmatch.CASE


def require_writable(*, is_read_only: bool) -> None:
    """Raise ``Denied`` in a read-only project, and everywhere while the system is read-only."""
    if is_read_only:
        raise Denied(_("the project is read-only"))
    if configuration.is_read_only():
        raise Denied(_("the system is read-only at the moment; pulling works"))


def require_own(*, is_proxy: bool) -> None:
    """Raise ``Denied`` in a project that another registry fills: nothing else comes into it."""
    if is_proxy:
        raise Denied(_("the project is filled from another registry; nothing is pushed into it"))


def require_tag_allowed(principal: Principal, tag: str) -> None:
    """Raise ``Denied`` where a robot pushes a tag that none of its patterns matches.

    A push by digest has no tag and is let through: the manifests of an index need it, and without
    a tag nothing that people pull changes.
    """
    if principal.robot_id is None or not tag:
        return
    rows = statements.run(Statement(_PATTERNS, [principal.robot_id]))
    patterns: list[str] = json.loads(rows[0][0]) if rows else []
    if patterns and not fnmatch.fnmatch(tag, patterns, flags=_GLOB):
        raise Denied(
            _("%(robot)s may push only tags that match %(patterns)s, not %(tag)s")
            % {"robot": principal.name, "patterns": ", ".join(patterns), "tag": tag}
        )


_PATTERNS = "SELECT push_tag_patterns FROM accounts_robot WHERE id = %s"
