"""What the set-up finds out about address, storage and programs."""

import shutil
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

from portal import health
from portal.web.shell import external_host

_LOCAL = ("localhost", "127.", "[::1]")
_FEW_PER_CENT = 10


@dataclass(frozen=True, slots=True)
class Disk:
    """The storage directory's file system, in bytes."""

    total: int
    free: int

    @property
    def is_nearly_full(self) -> bool:
        """Whether a registry would not run on it for long."""
        return self.free * 100 < self.total * _FEW_PER_CENT


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: ``ok``, ``warn`` or ``danger``."""

    tone: str
    text: str
    more: str = ""


def disk() -> Disk | None:
    """Return the size of the storage, where it is a directory this process can see."""
    root = settings.MOORAGE_STORAGE_ROOT
    if not root.is_dir():
        return None
    usage = shutil.disk_usage(root)
    return Disk(total=usage.total, free=usage.free)


def is_address_right(request: HttpRequest) -> bool:
    """Whether the browser came by the address that clients are told."""
    same_scheme = request.is_secure() == settings.MOORAGE_IS_HTTPS
    return request.get_host() == external_host() and same_scheme


def address(request: HttpRequest) -> list[Check]:
    """Check the address: is it the browser's, does anybody else reach it, is it encrypted."""
    host, found = external_host(), []
    if is_address_right(request):
        text = _("Your browser and docker come by the same address, %(host)s.") % {"host": host}
        found.append(Check("ok", text))
    else:
        scheme = "https" if request.is_secure() else "http"
        text = _("You came by %(here)s, but clients are told %(there)s.")
        both = {
            "here": f"{scheme}://{request.get_host()}",
            "there": settings.MOORAGE_EXTERNAL_URL,
        }
        more = _("Set MOORAGE_EXTERNAL_URL to the address that everybody uses, and restart.")
        found.append(Check("danger", text % both, more))
    if host.startswith(_LOCAL):
        text = _("Only this machine reaches %(host)s.") % {"host": host}
        more = _("For others, set MOORAGE_BIND and MOORAGE_EXTERNAL_URL, and restart.")
        found.append(Check("warn", text, more))
    if settings.MOORAGE_IS_HTTPS:
        found.append(Check("ok", _("Clients are told an address with TLS.")))
    else:
        more = _("For trying out, not for use by others: passwords travel in the clear.")
        found.append(Check("warn", _("There is no TLS."), more))
    return found


def programs() -> list[Check]:
    """Ask each of Moorage's parts whether it works."""
    words = {
        "database": _("The database answers."),
        "registry": _("The registry answers."),
        "storage": _("The storage can be written to."),
        "jobservice": _("A worker does the jobs."),
    }
    return [
        Check("danger", error) if error else Check("ok", words[name])
        for name, error in health.errors().items()
        if name in words
    ]
