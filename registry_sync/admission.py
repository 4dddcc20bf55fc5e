"""May this push proceed? Asked early, before bytes go upstream, and again under the locks."""

from django.utils.translation import gettext as _

from accounts.errors import Denied


def require_writable(*, is_read_only: bool) -> None:
    """Raise ``Denied`` in a read-only project."""
    if is_read_only:
        raise Denied(_("the project is read-only"))
