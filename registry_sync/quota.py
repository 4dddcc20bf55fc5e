"""May this project grow by so many bytes?"""

from django.utils.translation import gettext as _

from accounts.errors import Denied
from registry_sync.byte_sizes import scaled

WARNING_PERCENT = 85


def crosses_warning(*, before: int, after: int, limit: int) -> bool:
    """Whether a project that grew thereby passed the point at which people are warned."""
    return limit >= 0 and before * 100 < limit * WARNING_PERCENT <= after * 100


def require_any_room(*, used: int, limit: int) -> None:
    """Raise ``Denied`` where not one byte fits any more (-1: no limit)."""
    if 0 <= limit <= used:
        raise Denied(
            _("the project's storage limit of %(limit)s is used up") % {"limit": _told(limit)}
        )


def require_room(*, used: int, added: int, limit: int) -> None:
    """Raise ``Denied`` where ``added`` bytes would go over the limit (-1: none).

    What adds nothing is always let in: pushing what is there already must not fail.
    """
    if limit >= 0 and added > 0 and used + added > limit:
        raise Denied(
            _("the project's storage limit of %(limit)s would be exceeded by %(over)s")
            % {"limit": _told(limit), "over": _told(used + added - limit)}
        )


def _told(size: int) -> str:
    return " ".join(scaled(size))
