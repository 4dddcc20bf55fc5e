"""Reads every byte of the storage: a blob whose content is not its digest's must not be given out.

What is damaged is taken out of the registry's sight, else no push could ever replace it: a
registry that has a digest does not write it again.
"""

import hashlib
import time
from collections.abc import Iterator

from registry_sync import upstream
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.findings import Finding, Step
from registry_sync.models import Artifact, ManifestBody, RepositoryBlob
from registry_sync.storage.base import Storage

CHECK = "content"
_PART_BYTES = 1024 * 1024
# The registry writes manifests where they are to lie: what is half written is whole by then.
_SETTLE_SECONDS = 1.0


def contents(storage: Storage, step: Step, *, is_repairing: bool) -> Iterator[Finding]:
    """Yield every blob whose bytes are not what its digest says."""
    for prefix in sorted(storage.prefixes()):
        for digest in sorted(storage.blobs(prefix)):
            if actual := _other(storage, digest, step):
                problem = f"its bytes are those of {actual}"
                is_mended = False
                if is_repairing:
                    against = repair(storage, digest)
                    is_mended = not against
                    problem += f"; {against}" if against else ""
                yield Finding(CHECK, digest, problem, is_mended)
            step(CHECK)


def _other(storage: Storage, digest: str, step: Step) -> str:
    """Return the digest that the bytes have; empty where it is the right one, or they are gone."""
    found = _digest(storage, digest, step)
    if found in {"", digest}:
        return ""
    time.sleep(_SETTLE_SECONDS)
    found = _digest(storage, digest, step)
    return "" if found == digest else found


def _digest(storage: Storage, digest: str, step: Step) -> str:
    hashed = hashlib.sha256()
    with storage.open(digest) as stream:
        if stream is None:
            return ""
        while part := stream.read(_PART_BYTES):
            hashed.update(part)
            step("")
    return f"sha256:{hashed.hexdigest()}"


def repair(storage: Storage, digest: str) -> str:
    """Take damaged bytes away, and store again what the database has; return what is left to do."""
    storage.condemn(digest)
    RepositoryBlob.objects.filter(digest=digest).update(state=RepositoryBlob.State.EXPECTED)
    body = ManifestBody.objects.filter(pk=digest).first()
    if body is None or f"sha256:{hashlib.sha256(body.content).hexdigest()}" != digest:
        return "set aside; the next push of an image that has it sends it again"
    rows = Artifact.objects.filter(body=body).select_related("repository__project")
    for artifact in rows.defer("config"):
        name = artifact.repository.registry_name
        try:
            upstream.registry.put_manifest(name, digest, body.media_type, bytes(body.content))
        except RegistryRejectedError as error:
            return f"set aside; the registry refused it: {error.code or error.status}"
        except RegistryUnavailableError as error:
            return f"set aside; {error}"
        links = RepositoryBlob.objects.filter(repository=artifact.repository, digest=digest)
        links.filter(kind=RepositoryBlob.Kind.MANIFEST).update(state=RepositoryBlob.State.PRESENT)
    return ""
