"""What collection, checks and imports need of the registry's storage, whatever it lies on.

Nothing is deleted where it lies. It is *set aside* under the token of a claim, the claim is looked
at again, and only then is it *discarded*; who lost the claim *puts back*. Who was stopped anywhere
in between has removed nothing that others rely on.
"""

import datetime
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol

from accounts.errors import Unavailable

LinkKind = Literal["layer", "manifest"]


class StorageUnavailableError(Unavailable):
    """The storage is away, full or read-only."""


@dataclass(frozen=True, slots=True)
class Link:
    """A digest's link in a repository; ``repository`` is the name that the registry knows."""

    repository: str
    kind: LinkKind


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that was begun; ``touched_at`` is when its last byte came."""

    repository: str
    number: str
    touched_at: datetime.datetime
    size: int


class Storage(Protocol):
    """One registry's storage; safe to share between threads.

    ``digest`` is ``sha256:<hex>``, ``token`` 32 hexadecimal digits. Every method may be repeated,
    by anybody, at any time: what is not there any more is no error. All raise
    ``StorageUnavailableError``.
    """

    # So many links may be set aside within one transaction of the database.
    links_per_transaction: int

    # --- Looking ------------------------------------------------------------------------------

    def size(self, digest: str) -> int | None:
        """Return a blob's bytes, or None where there is none."""

    def has_link(self, digest: str, link: Link) -> bool:
        """Tell whether the registry would find the digest in that repository."""

    def uploads(self) -> Iterator[Upload]:
        """Yield every upload that was begun."""

    def repositories(self) -> Iterator[str]:
        """Yield the names of all repositories, in no order."""

    def links(self, repository: str, kind: LinkKind) -> dict[str, datetime.datetime]:
        """Return the digests linked in a repository, each with the time of its link."""

    def tags(self, repository: str) -> dict[str, tuple[str, datetime.datetime]]:
        """Return the registry's own tags (Moorage makes none): digest, and when it was moved."""

    def prefixes(self) -> set[str]:
        """Return the first two hexadecimal digits of all digests that have bytes."""

    def blobs(self, prefix: str) -> dict[str, int]:
        """Return the digests whose first two hexadecimal digits are ``prefix``, with bytes."""

    def read(self, digest: str, *, limit: int) -> bytes | None:
        """Return a blob, or None where it is absent or larger than ``limit`` bytes."""

    def open(self, digest: str) -> AbstractContextManager[BinaryIO | None]:
        """Give a blob's bytes to be read as far as wanted, or None where it is absent."""

    # --- Repairing ----------------------------------------------------------------------------

    def link(self, digest: str, link: Link) -> None:
        """Let the registry find the digest in that repository; its bytes are there."""

    def condemn(self, digest: str) -> None:
        """Take bytes that are not the digest's out of the registry's sight, and keep them."""

    def condemned_bytes(self) -> int:
        """Return how many bytes are kept so."""

    # --- Removing -----------------------------------------------------------------------------

    def prepare(self, token: str) -> None:
        """Prove that something could be set aside now."""

    def set_aside(
        self, token: str, links: Mapping[str, Sequence[Link]], *, with_bytes: bool
    ) -> None:
        """Take the digests' links, then their bytes, out of the registry's sight."""

    def put_back(self, token: str, digests: Collection[str]) -> None:
        """Let the registry see again what lies under the token, the bytes before the links."""

    def discard(self, token: str, digests: Collection[str]) -> None:
        """Remove for good what lies under the token."""

    def set_aside_links(self, token: str, digests: Collection[str]) -> dict[str, list[Link]]:
        """Return each digest's links that lie under the token."""

    def lying_aside(self) -> Iterator[tuple[str, str]]:
        """Yield the token and digest of all that lies aside."""

    def set_aside_bytes(self) -> Iterator[tuple[str, int]]:
        """Yield digest and bytes of each blob that lies aside, one for each token that has it."""

    def finish(self, token: str) -> None:
        """Forget a token under which nothing lies any more."""

    def remove_upload(self, upload: Upload) -> None:
        """Remove an upload that nobody will go on with."""

    # --- The marker ---------------------------------------------------------------------------

    def read_marker(self) -> str:
        """Return the text that was last written, or nothing."""

    def write_marker(self, text: str) -> None:
        """Keep a short text with the storage, whole or not at all."""
