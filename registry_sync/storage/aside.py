"""What a directory's storage has set aside: under each token the bytes, and links by repository.

``<token>/blobs/<hex>/data`` and ``<token>/<kind>/<repository>/<hex>/link``, where a repository's
name has ``@`` for its slashes. Many thousand digests go through here in a run, so paths are text,
and a directory is made once for all links of a repository.

Everything is removed by path only, never through an opened directory: one that somebody renamed
back in the meantime is never emptied where it lies now.
"""

# Path objects would cost more than the steps do.
# ruff: noqa: PTH103, PTH104, PTH105, PTH106, PTH108, PTH110, PTH112, PTH116, PTH120, PTH208
import contextlib
import errno
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from registry_sync.storage.base import Link, LinkKind
from registry_sync.storage.listing import FOLDERS, ROOT

# Beside what the registry reads, on the same file system: setting aside is one rename.
_ASIDE = "moorage/aside"
_BLOBS = "blobs"
_KINDS: tuple[LinkKind, ...] = ("layer", "manifest")
_TOKEN = re.compile(r"[0-9a-f]{32}")
_HEXADECIMAL = re.compile(r"[0-9a-f]{64}")


class Aside:
    """What lies aside in one directory; every method raises ``OSError``."""

    def __init__(self, root: Path) -> None:
        """``root`` is the registry's ``rootdirectory``."""
        self._top = f"{root}/{_ASIDE}"
        self._blobs = f"{root}/{ROOT}/blobs/sha256"
        self._repositories = f"{root}/{ROOT}/repositories"

    def prepare(self, token: str) -> None:
        """Prove that something could be set aside now."""
        probe = f"{self._top}/{token}/probe"
        os.makedirs(probe, exist_ok=True)
        os.rmdir(probe)

    def take(self, token: str, links: Mapping[str, Sequence[Link]], *, with_bytes: bool) -> None:
        """Rename the digests' links, then their bytes, to where the registry does not look."""
        top = f"{self._top}/{token}"
        for digest, places in links.items():
            name = _hexadecimal(digest)
            for link in places:
                move(self._link(link, name), f"{_shelf(top, link)}/{name}", "link")
            if with_bytes:
                move(self._blob(name), f"{top}/{_BLOBS}/{name}", "data")

    def give_back(self, token: str, digests: Collection[str]) -> None:
        """Rename what lies under the token back, the bytes before the links."""
        top = f"{self._top}/{token}"
        for name in map(_hexadecimal, digests):
            move(f"{top}/{_BLOBS}/{name}", self._blob(name), "data")
        for digest, places in self.links(token, digests).items():
            name = _hexadecimal(digest)
            for link in places:
                move(f"{_shelf(top, link)}/{name}", self._link(link, name), "link")

    def remove(self, token: str, digests: Collection[str]) -> None:
        """Remove for good what lies under the token."""
        top, names = f"{self._top}/{token}", {_hexadecimal(digest) for digest in digests}
        for name in names:
            _drop(f"{top}/{_BLOBS}/{name}", "data")
        for link in _shelves(top):
            shelf = _shelf(top, link)
            for name in names.intersection(_names(shelf)):
                _drop(f"{shelf}/{name}", "link")

    def links(self, token: str, digests: Collection[str]) -> dict[str, list[Link]]:
        """Return each digest's links that lie under the token."""
        top, found = f"{self._top}/{token}", {digest: list[Link]() for digest in digests}
        for link in _shelves(top):
            for name in _names(_shelf(top, link)):
                if (digest := f"sha256:{name}") in found:
                    found[digest].append(link)
        return found

    def lying(self) -> Iterator[tuple[str, str]]:
        """Yield the token and digest of all that lies aside."""
        for token in filter(_TOKEN.fullmatch, _names(self._top)):
            top = f"{self._top}/{token}"
            places = [f"{top}/{_BLOBS}", *(_shelf(top, link) for link in _shelves(top))]
            names = {name for place in places for name in _names(place)}
            for name in sorted(filter(_HEXADECIMAL.fullmatch, names)):
                yield token, f"sha256:{name}"

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield digest and bytes of each blob that lies aside under a token."""
        for token in filter(_TOKEN.fullmatch, _names(self._top)):
            top = f"{self._top}/{token}/{_BLOBS}"
            for name in filter(_HEXADECIMAL.fullmatch, _names(top)):
                with contextlib.suppress(FileNotFoundError):
                    yield f"sha256:{name}", os.stat(f"{top}/{name}/data").st_size

    def forget(self, token: str) -> None:
        """Remove a token's own directories, as far as nothing lies in them."""
        top = f"{self._top}/{token}"
        shelves = [_shelf(top, link) for link in _shelves(top)]
        for place in (*shelves, *(f"{top}/{name}" for name in (_BLOBS, *_KINDS)), top):
            try:
                os.rmdir(place)
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise

    def _blob(self, name: str) -> str:
        return f"{self._blobs}/{name[:2]}/{name}"

    def _link(self, link: Link, name: str) -> str:
        return f"{self._repositories}/{link.repository}/{FOLDERS[link.kind]}/sha256/{name}"


def move(source: str, target: str, content: str) -> None:
    """Rename a digest's own directory; merge where there is one already.

    Both then hold the same content, for it has the same digest; the longer file is whole.
    """
    for _again in range(3):
        try:
            os.rename(source, target)
        except FileNotFoundError:
            if not os.path.isdir(source):
                return
            # Somebody may be removing it at this moment, for it is empty.
            with contextlib.suppress(FileNotFoundError):
                os.makedirs(os.path.dirname(target), exist_ok=True)
        except OSError:
            if not os.path.isdir(target):
                raise
            _merge(f"{source}/{content}", f"{target}/{content}")
            remove_tree(source)
            return
        else:
            return
    raise OSError("the directory keeps moving")


def _merge(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        theirs = os.stat(target).st_size if os.path.exists(target) else -1
        if os.stat(source).st_size > theirs:
            os.replace(source, target)


def _drop(folder: str, content: str) -> None:
    """Remove a directory that holds one file, and whatever else it holds."""
    try:
        os.unlink(f"{folder}/{content}")
        os.rmdir(folder)
    except OSError:
        remove_tree(folder)


def remove_tree(top: str) -> None:
    """Remove a tree that lies aside, path by path."""
    for folder, names, files in os.walk(top, topdown=False):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{folder}/{name}")
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(f"{folder}/{name}")
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(top)


def _shelf(top: str, link: Link) -> str:
    return f"{top}/{link.kind}/{link.repository.replace('/', '@')}"


def _shelves(top: str) -> Iterator[Link]:
    """Yield of which repositories, and of which kind, links lie in a token's directory."""
    for kind in _KINDS:
        for name in _names(f"{top}/{kind}"):
            yield Link(name.replace("@", "/"), kind)


def _hexadecimal(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
