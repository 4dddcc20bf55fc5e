"""The registry's storage in a bucket (S3's API; the S3 driver of distribution 2.8 and 3.x)."""

import contextlib
import datetime
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, ParamSpec, TypeVar, cast

from registry_sync.storage.base import Link, LinkKind, Upload
from registry_sync.storage.bucket import Bucket
from registry_sync.storage.listing import FOLDERS, ROOT
from registry_sync.storage.s3_objects import Objects, telling

P = ParamSpec("P")
T = TypeVar("T")

_ASIDE = "moorage/aside"
# Bytes that were not what their name says.
_DAMAGED = "moorage/damaged"
_MARKER = "moorage/epoch"
# Ends a link's key below its repository's name.
_LINK = "@link"
_TOKEN = re.compile(r"[0-9a-f]{32}")
_HEXADECIMAL = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{2}")
_UPLOAD = re.compile(r"(?P<repository>.+)/_uploads/(?P<number>[^/]+)/(?P<file>.+)")


def _told(work: Callable[P, T]) -> Callable[P, T]:
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        with telling():
            return work(*args, **kwargs)

    return told


class S3Storage:
    """A registry's bucket; its clients are safe to share between threads."""

    # Each is a few requests.
    links_per_transaction = 5

    def __init__(self, bucket: Bucket) -> None:
        """``bucket``: nothing is asked of it yet."""
        self._objects = Objects(bucket)
        prefix = bucket.prefix.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""

    # --- Looking ------------------------------------------------------------------------------

    @_told
    def size(self, digest: str) -> int | None:
        """Return a blob's bytes, or None where there is none."""
        found = self._objects.head(self._blob(digest))
        return None if found is None else int(found["ContentLength"])

    @_told
    def has_link(self, digest: str, link: Link) -> bool:
        """Tell whether the registry would find the digest in that repository."""
        return self._objects.head(self._link(digest, link)) is not None

    def uploads(self) -> Iterator[Upload]:
        """Yield every upload that was begun."""
        with telling():
            yield from self._uploads()

    def _uploads(self) -> Iterator[Upload]:
        top = self._key(ROOT, "repositories/")
        found: dict[tuple[str, str], tuple[datetime.datetime, int]] = {}

        def note(key: str, at: datetime.datetime, size: int) -> None:
            if match := _UPLOAD.fullmatch(key.removeprefix(top)):
                place = match["repository"], match["number"]
                newest, bytes_ = found.get(place, (at, 0))
                own = size if match["file"] == "data" else 0
                found[place] = (max(newest, at), bytes_ + own)

        for entry in self._objects.below(top):
            if "/_uploads/" in entry["Key"]:
                note(entry["Key"], entry["LastModified"], entry["Size"])
        # What was sent and not finished is no object yet.
        for unfinished in self._objects.unfinished(top):
            note(unfinished["Key"], unfinished["Initiated"], 0)
            for part in self._objects.parts(unfinished):
                note(unfinished["Key"], part["LastModified"], part["Size"])
        for (repository, number), (at, size) in sorted(found.items()):
            yield Upload(repository, number, at, size)

    def repositories(self) -> Iterator[str]:
        """Yield the names of all repositories, in no order."""
        top = self._key(ROOT, "repositories/")
        waiting = [top]
        with telling():
            while waiting:
                here = waiting.pop()
                children = {name.removeprefix(here) for name in self._objects.folders(here)}
                if {"_manifests/", "_layers/"} & children and here != top:
                    yield here.removeprefix(top).rstrip("/")
                waiting += [here + name for name in children if not name.startswith("_")]

    @_told
    def links(self, repository: str, kind: LinkKind) -> dict[str, datetime.datetime]:
        """Return the digests linked in a repository, each with the time of its link."""
        top = self._key(ROOT, "repositories", repository, FOLDERS[kind], "sha256/")
        found = {}
        for entry in self._objects.below(top):
            name, _slash, file = entry["Key"].removeprefix(top).partition("/")
            if file == "link" and _HEXADECIMAL.fullmatch(name):
                found[f"sha256:{name}"] = entry["LastModified"]
        return found

    @_told
    def tags(self, repository: str) -> dict[str, tuple[str, datetime.datetime]]:
        """Return the registry's own tags: digest, and when it was moved there."""
        top = self._key(ROOT, "repositories", repository, "_manifests/tags/")
        found = {}
        for entry in self._objects.below(top):
            name, _slash, rest = entry["Key"].removeprefix(top).partition("/")
            if rest == "current/link":
                digest = (
                    (self._objects.read(entry["Key"]) or b"").decode("ascii", "replace").strip()
                )
                if _HEXADECIMAL.fullmatch(digest.removeprefix("sha256:")):
                    found[name] = (digest, entry["LastModified"])
        return found

    @_told
    def prefixes(self) -> set[str]:
        """Return the first two hexadecimal digits of all digests that have bytes."""
        top = self._key(ROOT, "blobs/sha256/")
        names = {name.removeprefix(top).rstrip("/") for name in self._objects.folders(top)}
        return {name for name in names if _PREFIX.fullmatch(name)}

    @_told
    def blobs(self, prefix: str) -> dict[str, int]:
        """Return the digests whose first two hexadecimal digits are ``prefix``, with bytes."""
        top = self._key(ROOT, "blobs/sha256", f"{prefix}/")
        found = {}
        for entry in self._objects.below(top):
            name, _slash, file = entry["Key"].removeprefix(top).partition("/")
            if file == "data" and _HEXADECIMAL.fullmatch(name):
                found[f"sha256:{name}"] = int(entry["Size"])
        return found

    @_told
    def read(self, digest: str, *, limit: int) -> bytes | None:
        """Return a blob, or None where it is absent or larger than ``limit`` bytes."""
        key = self._blob(digest)
        found = self._objects.head(key)
        return None if found is None or found["ContentLength"] > limit else self._objects.read(key)

    @contextlib.contextmanager
    def open(self, digest: str) -> Iterator[BinaryIO | None]:
        """Give a blob's bytes to be read as far as wanted, or None where it is absent."""
        with telling():
            body = self._objects.open(self._blob(digest))
            if body is None:
                yield None
                return
            with contextlib.closing(body):
                yield cast(BinaryIO, body)

    def url(self, digest: str, *, seconds: int) -> str:
        """Return an address at which anybody may read a blob for so many seconds."""
        return self._objects.url(self._blob(digest), seconds=seconds)

    # --- Repairing ----------------------------------------------------------------------------

    @_told
    def link(self, digest: str, link: Link) -> None:
        """Let the registry find the digest in that repository; its bytes are there."""
        self._objects.put(self._link(digest, link), digest.encode())

    @_told
    def condemn(self, digest: str) -> None:
        """Take bytes that are not the digest's out of the registry's sight, and keep them."""
        at = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}"
        name = digest.removeprefix("sha256:")
        self._objects.move([(self._blob(digest), self._key(_DAMAGED, name, at))])

    @_told
    def condemned_bytes(self) -> int:
        """Return how many bytes are kept so."""
        return sum(int(entry["Size"]) for entry in self._objects.below(self._key(_DAMAGED, "")))

    # --- Removing -----------------------------------------------------------------------------

    @_told
    def prepare(self, token: str) -> None:
        """Prove that something could be set aside now."""
        probe = self._key(_ASIDE, token, "probe")
        self._objects.put(probe, b"")
        self._objects.erase(probe)

    @_told
    def set_aside(
        self, token: str, links: Mapping[str, Sequence[Link]], *, with_bytes: bool
    ) -> None:
        """Take the digests' links, then their bytes, out of the registry's sight."""
        moves = [
            (self._link(digest, link), _aside_link(self._aside(token, digest), link))
            for digest, places in links.items()
            for link in places
        ]
        if with_bytes:
            moves += [(self._blob(digest), f"{self._aside(token, digest)}blob") for digest in links]
        self._objects.move(moves)

    @_told
    def put_back(self, token: str, digests: Collection[str]) -> None:
        """Let the registry see again what lies under the token, the bytes before the links."""
        # Removed is what was seen here and nothing else: somebody slow may yet set more aside.
        lying = self._lying(token, digests)
        places = self._links_of(token, lying)
        for digest in digests:
            aside = f"{self._aside(token, digest)}blob"
            if (
                self._objects.head(aside) is not None
                and self._objects.head(self._blob(digest)) is None
            ):
                self._objects.copy(aside, self._blob(digest))
            for link in places.get(digest, ()):
                self._objects.put(self._link(digest, link), digest.encode())
        self._objects.delete(lying)

    @_told
    def discard(self, token: str, digests: Collection[str]) -> None:
        """Remove for good what lies under the token."""
        self._objects.delete(self._lying(token, digests))

    @_told
    def set_aside_links(self, token: str, digests: Collection[str]) -> dict[str, list[Link]]:
        """Return each digest's links that lie under the token."""
        found = self._links_of(token, self._lying(token, digests))
        return {digest: found.get(digest, []) for digest in digests}

    def _lying(self, token: str, digests: Collection[str]) -> list[dict[str, str]]:
        """Name the objects of these digests under the token, every version; few pages for many."""
        top = self._key(_ASIDE, f"{token}/")
        below = top if len(digests) > 1 else self._aside(token, next(iter(digests), "-"))
        names = {digest.removeprefix("sha256:") for digest in digests}
        return [
            entry
            for entry in self._objects.versions(below)
            if entry["Key"].removeprefix(top).partition("/")[0] in names
        ]

    def _links_of(self, token: str, lying: Iterable[dict[str, str]]) -> dict[str, list[Link]]:
        top, found = self._key(_ASIDE, f"{token}/"), dict[str, list[Link]]()
        for key in sorted({entry["Key"] for entry in lying}):
            name, kind, *rest = key.removeprefix(top).split("/")
            if kind in ("layer", "manifest") and rest[-1:] == [_LINK]:
                link = Link("/".join(rest[:-1]), cast(LinkKind, kind))
                found.setdefault(f"sha256:{name}", []).append(link)
        return found

    @_told
    def lying_aside(self) -> Iterator[tuple[str, str]]:
        """Yield the token and digest of all that lies aside."""
        top = self._key(_ASIDE, "")
        found = []
        for folder in self._objects.folders(top):
            token = folder.removeprefix(top).rstrip("/")
            for name in self._objects.folders(folder) if _TOKEN.fullmatch(token) else ():
                hexadecimal = name.removeprefix(folder).rstrip("/")
                if _HEXADECIMAL.fullmatch(hexadecimal):
                    found.append((token, f"sha256:{hexadecimal}"))
        return iter(found)

    @_told
    def set_aside_bytes(self) -> Iterator[tuple[str, int]]:
        """Yield digest and bytes of each blob that lies aside, one for each token that has it."""
        top = self._key(_ASIDE, "")
        found = []
        for entry in self._objects.below(top):
            token, _slash, rest = entry["Key"].removeprefix(top).partition("/")
            name, _slash, file = rest.partition("/")
            if file == "blob" and _TOKEN.fullmatch(token) and _HEXADECIMAL.fullmatch(name):
                found.append((f"sha256:{name}", int(entry["Size"])))
        return iter(found)

    @_told
    def finish(self, token: str) -> None:
        """Forget a token: without objects there is nothing of it."""

    @_told
    def remove_upload(self, upload: Upload) -> None:
        """Remove an upload that nobody will go on with."""
        folder = self._key(ROOT, "repositories", upload.repository, "_uploads", f"{upload.number}/")
        for unfinished in self._objects.unfinished(folder):
            self._objects.abort(unfinished)
        self._objects.erase(folder)

    # --- The marker ---------------------------------------------------------------------------

    @_told
    def read_marker(self) -> str:
        """Return the text that was last written, or nothing."""
        # A bucket that is away or another must never look like an empty one.
        self._objects.require()
        return (self._objects.read(self._key(_MARKER)) or b"").decode().strip()

    @_told
    def write_marker(self, text: str) -> None:
        """Keep a short text with the storage, whole or not at all."""
        self._objects.put(self._key(_MARKER), text.encode())

    # --- Places -------------------------------------------------------------------------------

    def _key(self, *parts: str) -> str:
        return self._prefix + "/".join(parts)

    def _blob(self, digest: str) -> str:
        hexadecimal = digest.removeprefix("sha256:")
        return self._key(ROOT, "blobs/sha256", hexadecimal[:2], hexadecimal, "data")

    def _link(self, digest: str, link: Link) -> str:
        hexadecimal = digest.removeprefix("sha256:")
        folder = f"{FOLDERS[link.kind]}/sha256/{hexadecimal}/link"
        return self._key(ROOT, "repositories", link.repository, folder)

    def _aside(self, token: str, digest: str) -> str:
        return self._key(_ASIDE, token, f"{digest.removeprefix('sha256:')}/")


def _aside_link(aside: str, link: Link) -> str:
    return f"{aside}{link.kind}/{link.repository}/{_LINK}"
