"""Other registries: made, changed, asked whether they answer, deleted."""

import datetime
import logging
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts import audit
from accounts.errors import BadRequest, Conflict, NotFound, PreconditionFailed
from accounts.principals import Actor
from accounts.sealed_secrets import seal, unseal
from registry_sync.adapters import ADAPTERS, is_realm
from registry_sync.client import amazon, outbound
from registry_sync.client.errors import (
    Obstacle,
    RegistryError,
    RegistryRejectedError,
    RegistryUnavailableError,
)
from registry_sync.client.managed import ManagedRegistry
from registry_sync.models import RemoteRegistry
from registry_sync.replication import lineage
from registry_sync.texts import storable

logger = logging.getLogger(__name__)

_MAX_PASSWORD = 4096
# How many answers are remembered of each; and when it is asked again by itself.
KEPT_CHECKS = 48
_CHECK_AGAIN = datetime.timedelta(minutes=5)
_CHECKED_AT_ONCE = 100
_MAX_CERTIFICATES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where a registry is, what proves to it who we are, and whom we believe that it is there."""

    url: str
    kind: str = "docker-registry"
    username: str = ""
    password: str = ""
    is_insecure: bool = False
    ca_certificate: str = ""


def create(*, name: str, description: str, address: Address, actor: Actor) -> RemoteRegistry:
    """Add a registry. Raises ``BadRequest`` (with ``field``), ``Conflict`` for a taken name."""
    return _save(RemoteRegistry(), name, description, address, "create_registry", actor)


def update(
    remote: RemoteRegistry,
    *,
    name: str,
    description: str,
    address: Address,
    is_password_given: bool,
    actor: Actor,
) -> RemoteRegistry:
    """Change a registry. Raises as ``create``.

    A password stays with the host it was given for: another host needs it anew.
    """
    if not is_password_given:
        require_same_host(address_of(remote), address)
    return _save(remote, name, description, address, "update_registry", actor)


def require_same_host(before: Address, after: Address) -> None:
    """Raise ``BadRequest`` where a stored password would be shown to another host.

    Nor to the same one without looking at its certificate, where that was looked at before.
    """
    first, then = urlsplit(before.url), urlsplit(after.url)
    is_other = (first.hostname, first.port, first.scheme) != (then.hostname, then.port, then.scheme)
    is_laxer = after.is_insecure and not before.is_insecure
    if after.password and (is_other or is_laxer):
        raise BadRequest(_("Enter the password again: the host is another one."), field="password")


def _save(
    remote: RemoteRegistry, name: str, description: str, address: Address, action: str, actor: Actor
) -> RemoteRegistry:
    address = checked(address)
    name = storable(name).strip()
    if not name or len(name) > 128:
        raise BadRequest(_("A name has 1 to 128 characters."), field="name")
    if len(description) > 1024:
        raise BadRequest(_("A description has at most 1024 characters."), field="description")
    remote.name, remote.description = name, storable(description)
    remote.url, remote.kind, remote.username = address.url, address.kind, address.username
    remote.sealed_password = seal(settings.MOORAGE_KEYS, address.password)
    remote.is_insecure, remote.ca_certificate = address.is_insecure, address.ca_certificate
    remote.status, remote.problem = RemoteRegistry.Status.UNKNOWN, ""
    try:
        with transaction.atomic():
            remote.save()
            audit.record(actor, action, name, detail={"url": address.url})
    except IntegrityError as error:
        raise Conflict(_("A registry of this name exists."), field="name") from error
    return remote


@transaction.atomic
def remove(remote: RemoteRegistry, *, actor: Actor) -> None:
    """Delete a registry.

    Raises ``PreconditionFailed`` while a policy uses it or it fills a project, ``NotFound``.
    """
    policy = remote.policies.order_by("name").first()
    if policy is not None:
        raise PreconditionFailed(
            _("The policy %(policy)s uses it; delete that first.") % {"policy": policy.name}
        )
    # A project that was deleted for good is filled no more; one in the trash may come back.
    remote.proxy_caches.filter(project__purged_at__isnull=False).delete()
    filled = remote.proxy_caches.select_related("project").order_by("project__name").first()
    if filled is not None:
        raise PreconditionFailed(
            _("It fills the project %(project)s; delete that first.")
            % {"project": filled.project.name}
        )
    if not RemoteRegistry.objects.filter(pk=remote.pk).delete()[0]:
        raise NotFound(_("registry not found"))
    audit.record(actor, "delete_registry", remote.name)


def checked(address: Address) -> Address:
    """Return it in its one form. Raises ``BadRequest`` (with ``field``) for what cannot be."""
    if address.kind not in ADAPTERS:
        raise BadRequest(_("There is no such kind of registry."), field="type")
    url = address.url.strip().rstrip("/").removesuffix("/v2")
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or parts.username or parts.query or parts.fragment or len(url) > 512:
        raise BadRequest(_("An address looks like https://registry.example.com:5000."), field="url")
    if len(address.password) > _MAX_PASSWORD or len(address.username) > _MAX_PASSWORD:
        raise BadRequest(_("Name or password is too long."), field="username")
    if not ADAPTERS[address.kind].client.is_place(url):
        message = _("An address of Amazon ECR looks like %(address)s.")
        raise BadRequest(message % {"address": amazon.EXAMPLE}, field="url")
    certificate = address.ca_certificate.strip()
    made = Address(
        url,
        address.kind,
        storable(address.username),
        address.password,
        address.is_insecure,
        f"{certificate}\n" if certificate else "",
    )
    _tls(made)
    return made


def address_of(remote: RemoteRegistry) -> Address:
    """Return a stored registry's address, with its password. Raises ``Unavailable``."""
    return Address(
        remote.url,
        remote.kind,
        remote.username,
        unseal(settings.MOORAGE_KEYS, remote.sealed_password),
        remote.is_insecure,
        remote.ca_certificate,
    )


def client_of(address: Address, *, via: str = "") -> ManagedRegistry:
    """Return a client, for one thread. ``via``: which installations a copy came through."""
    reach = outbound.administrators(settings.MOORAGE_OUTBOUND_ALLOW)
    session = outbound.session(reach, tls=_tls(address))
    session.headers["User-Agent"] = lineage.agent(via)
    return ADAPTERS[address.kind].client(
        address.url,
        username=address.username,
        password=address.password,
        session=session,
        is_realm=partial(is_realm, address.kind),
    )


def _tls(address: Address) -> ssl.SSLContext | None:
    if address.is_insecure:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if not address.ca_certificate:
        return None
    try:
        if len(address.ca_certificate) > _MAX_CERTIFICATES:
            raise ValueError("too long")
        return ssl.create_default_context(cadata=address.ca_certificate)
    except (ssl.SSLError, ValueError) as error:
        message = _("This is no certificate in PEM form.")
        raise BadRequest(message, field="ca_certificate") from error


def ping(address: Address) -> None:
    """Ask whether a registry answers and lets us in. Raises ``BadRequest`` with why not.

    What else may answer at the address is not told: nobody is to look around with this.
    """
    try:
        client_of(checked(address)).ping()
    except RegistryError as error:
        raise BadRequest(why_not(error, username=address.username)) from error


def why_not(error: RegistryError, *, username: str) -> str:
    """Return in the reader's words why a registry could not be asked, as whom we asked."""
    if isinstance(error, RegistryRejectedError):
        if not username:
            return _("The registry asks for a name and a password.")
        return _("The registry refuses this name and password.")
    match error.obstacle if isinstance(error, RegistryUnavailableError) else None:
        case Obstacle.NO_ADDRESS:
            return _("This host name leads to no address.")
        case Obstacle.NOT_ALLOWED:
            return _("Moorage may not ask this address; its operator can allow it.")
        case Obstacle.NO_TLS:
            return _("What answers there does not speak TLS; the address may begin with http://.")
        case Obstacle.UNTRUSTED:
            return _("Its certificate is vouched for by no authority that we believe.")
        case Obstacle.NO_HARBOR:
            return _("It is a registry, but neither a Harbor nor a Moorage: choose another kind.")
    return _("No registry answers at this address.")


def require_healthy(remote: RemoteRegistry) -> None:
    """Ask a stored registry and write down what it says. Raises ``BadRequest`` with why not."""
    if check(remote).problem:
        raise BadRequest(_(remote.problem))


def check(remote: RemoteRegistry) -> RemoteRegistry:
    """Ask a stored registry, and write down whether it answers."""
    status, problem = RemoteRegistry.Status.HEALTHY, ""
    begun = time.monotonic()
    try:
        # Kept in English: whoever looks at it later reads it in their own language.
        with translation.override("en"):
            ping(address_of(remote))
    except BadRequest as error:
        status, problem = RemoteRegistry.Status.UNHEALTHY, str(error)
    remote.status, remote.problem, remote.checked_at = status, problem[:1024], timezone.now()
    took = int((time.monotonic() - begun) * 1000)
    with transaction.atomic():
        remote.save(update_fields=["status", "problem", "checked_at"])
        remote.checks.create(at=remote.checked_at, problem=remote.problem, took=took)
        kept = remote.checks.order_by("-pk").values_list("pk", flat=True)
        oldest = kept[KEPT_CHECKS : KEPT_CHECKS + 1].first()
        if oldest is not None:
            remote.checks.filter(pk__lte=oldest).delete()
    return remote


def check_due() -> int:
    """Ask those that nobody has asked for a while; return how many."""
    long_ago = timezone.now() - _CHECK_AGAIN
    rows = RemoteRegistry.objects.filter(Q(checked_at=None) | Q(checked_at__lt=long_ago))
    due = list(rows.order_by("checked_at", "pk")[:_CHECKED_AT_ONCE])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_checked_apart, due))
    return len(due)


def _checked_apart(remote: RemoteRegistry) -> None:
    try:
        check(remote)
    except DatabaseError:
        # It was deleted meanwhile, or the database is busy: the next time tells.
        logger.warning("%s could not be checked.", remote.name, exc_info=True)
    finally:
        connection.close()
