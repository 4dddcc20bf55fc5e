"""Which manifest a proxy project answers with: the one that is here, or the upstream's.

A tag is asked for by HEAD, which is no pull there, and not again for a while; what the upstream
does not have is not asked for again at once either. Without the upstream, what is here counts.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from accounts import statements
from accounts.errors import Denied, PreconditionFailed
from accounts.statements import Statement
from registry_sync import catalog, manifests, statistics
from registry_sync.client.errors import RegistryError, RegistryRejectedError
from registry_sync.manifests import (
    IMAGE_TYPES,
    INDEX_TYPES,
    MAX_MANIFEST_BYTES,
    Manifest,
    ManifestError,
)
from registry_sync.models import Artifact, ProxyCache, ProxyCheck, Repository
from registry_sync.proxy_cache import arriving, upstreams
from registry_sync.proxy_cache.turns import Turns

_TYPES = IMAGE_TYPES | INDEX_TYPES
# Signatures, SBOMs: few; each is a request.
_MAX_REFERRERS = 20
# One question for all that ask it at a time, in this process.
_turns = Turns()


class UnusableError(RegistryError):
    """The upstream's manifest is none that can be passed on."""


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest; ``is_stale`` where the upstream could not be asked whether it still is so."""

    digest: str
    media_type: str
    content: bytes
    is_stale: bool = False


def is_fresh(project_id: int, path: str, reference: str, digest: str) -> bool:
    """Return whether the upstream said a moment ago that the tag is this digest."""
    said = _said(project_id, path, reference)
    return said is not None and said == digest


def find(cache: ProxyCache, path: str, reference: str, *, here: Found | None) -> Found | None:
    """Return the manifest of a tag or digest, or None where the upstream has none.

    ``here`` is what the reference is in the catalogue. Raises ``RegistryError`` where the upstream
    does not answer and nothing is here.
    """
    with _turns.of((cache.project_id, path, reference)):
        if ":" in reference:
            return here or _fetch(cache, path, reference, tag="")
        said = _said(cache.project_id, path, reference)
        if said == "":
            return here if cache.serves_removed else None
        known = here if here is not None and here.digest == said else _kept(cache, path, said or "")
        if known is not None:
            return known
        try:
            return _ask(cache, path, reference, here)
        except RegistryError:
            if here is None:
                raise
            statistics.note_proxy(cache.project_id, stale=1)
            return Found(here.digest, here.media_type, here.content, is_stale=True)


def fetch_referrers(cache: ProxyCache, path: str, digest: str) -> None:
    """Fetch what the upstream says is about an artifact, unless it was asked a moment ago.

    Raises ``RegistryError``.
    """
    key = f"referrers of {digest}"
    if not cache.asks_referrers or _said(cache.project_id, path, key) is not None:
        return
    with upstreams.asking(cache) as client:
        about = client.referrers(upstreams.name_of(cache, path), digest)
    for referrer in about[:_MAX_REFERRERS]:
        if _kept(cache, path, referrer) is None:
            _fetch(cache, path, referrer, tag="")
    _note(cache, path, key, digest)


def _ask(cache: ProxyCache, path: str, tag: str, here: Found | None) -> Found | None:
    found: Found | None
    if here is None:
        found = _fetch(cache, path, tag, tag=tag)
        _note(cache, path, tag, found.digest if found else "")
        return found
    if upstreams.is_down(cache):
        raise RegistryError("the upstream registry does not answer")
    with upstreams.asking(cache) as client:
        digest = client.tagged_digest(upstreams.name_of(cache, path), tag, types=_TYPES)
    if not digest:
        _note(cache, path, tag, "")
        return here if cache.serves_removed else None
    found = here
    if digest != here.digest:
        found = _kept(cache, path, digest)
        if found is not None:
            # Here under another tag, or before: only the tag moves.
            _keep(cache, path, manifests.parse(found.content, found.media_type), tag)
        else:
            found = _fetch(cache, path, digest, tag=tag)
    _note(cache, path, tag, found.digest if found else "")
    return found


def _fetch(cache: ProxyCache, path: str, reference: str, *, tag: str) -> Found | None:
    """Fetch a manifest, keep it and return it; None where the upstream has none."""
    statistics.note_proxy(cache.project_id, misses=1)
    try:
        with upstreams.asking(cache) as client:
            got = client.manifest(
                upstreams.name_of(cache, path), reference, types=_TYPES, limit=MAX_MANIFEST_BYTES
            )
    except RegistryRejectedError as error:
        # Docker Hub says so of what does not exist.
        if error.status in {401, 403}:
            return None
        raise
    if got is None:
        return None
    media_type, content = got
    try:
        manifest = manifests.parse(content, media_type)
    except ManifestError as error:
        raise UnusableError(f"the upstream's manifest is refused: {error}") from error
    if ":" in reference and manifest.digest != reference:
        raise UnusableError("the upstream's manifest is another one than was asked for")
    statistics.note_proxy(cache.project_id, fetched_bytes=len(content))
    _keep(cache, path, manifest, tag)
    return Found(manifest.digest, manifest.media_type, content)


def _keep(cache: ProxyCache, path: str, manifest: Manifest, tag: str) -> None:
    """Keep it where it may be kept; it is passed on in any case."""
    repository = _repository(cache, path)
    try:
        arriving.keep(repository, manifest, tag)
    except (Denied, PreconditionFailed):
        # Full, read-only, or the tag is held where it is.
        return


def _repository(cache: ProxyCache, path: str) -> Repository:
    repository = catalog.open_repository(cache.project_id, path)
    repository.project = cache.project
    return repository


def _kept(cache: ProxyCache, path: str, digest: str) -> Found | None:
    if not digest:
        return None
    here = Artifact.objects.live().filter(
        repository__project_id=cache.project_id, repository__path=path, body_id=digest
    )
    artifact = here.select_related("body").first()
    if artifact is None:
        return None
    return Found(digest, artifact.body.media_type, bytes(artifact.body.content))


_SAID = """
SELECT digest FROM registry_sync_proxycheck
WHERE project_id = %s AND path = %s AND reference = %s AND checked_at > %s AND checked_at <= %s
"""


def _said(project_id: int, path: str, reference: str) -> str | None:
    """Return what the upstream said a moment ago, empty for "absent"; None where too long ago."""
    now = timezone.now()
    since = now - timedelta(seconds=settings.MOORAGE_PROXY_FRESH_SECONDS)
    asked = [project_id, path, reference, statements.moment(since), statements.moment(now)]
    rows = statements.run(Statement(_SAID, asked))
    return str(rows[0][0]) if rows else None


def _note(cache: ProxyCache, path: str, reference: str, digest: str) -> None:
    ProxyCheck.objects.update_or_create(
        project_id=cache.project_id,
        path=path,
        reference=reference,
        defaults={"digest": digest, "checked_at": timezone.now()},
    )
