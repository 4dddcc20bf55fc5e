"""May this project grow by so many bytes?"""

from django.utils.translation import gettext as _

from accounts.errors import Denied


def require_room(*, used: int, added: int, limit: int) -> None:
    """Raise ``Denied`` where ``added`` bytes would go over the limit (-1: none).

    What adds nothing is always let in: pushing what is there already must not fail.
    """
    if limit >= 0 and added > 0 and used + added > limit:
        raise Denied(
            _("the project's storage limit of %(limit)d bytes would be exceeded by %(over)d")
            % {"limit": limit, "over": used + added - limit}
        )
