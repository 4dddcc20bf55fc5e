"""Puts what an upstream gives into our registry, and tells whose fault it is where that fails."""

from collections.abc import Iterator

from accounts.errors import Unavailable
from registry_sync.client.errors import RegistryError
from registry_sync.models import Repository
from registry_sync.upstream import registry


class _Watched:
    """Parts of a blob, and whether reading them failed."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self.has_failed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._parts)
        except StopIteration:
            raise
        except BaseException:
            self.has_failed = True
            raise


def store(repository: Repository, digest: str, parts: Iterator[bytes], *, size: int) -> None:
    """Upload a blob as it comes.

    Raises what reading the parts raises, and ``Unavailable`` where our registry does not take them:
    that must not count as the upstream's failure.
    """
    watched = _Watched(parts)
    try:
        registry.upload_blob(repository.registry_name, digest, watched, size=size)
    except RegistryError as error:
        if watched.has_failed:
            raise
        raise Unavailable("our own registry does not take what was fetched") from error
