"""Removing what was claimed, so that who is stopped anywhere has removed nothing others rely on.

1. Links, then bytes, are set aside by one rename each. 2. The claim is looked at again. 3. What
still is ours is removed for good; what is not is put back. 4. The rows are called ``gone``. Whoever
finds a claim whose lease ended takes it under a new token and begins at 1.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

from django.utils import timezone

from accounts import statements
from accounts.statements import Statement
from registry_sync import garbage_claims, garbage_counters, transactions
from registry_sync.failpoints import hit
from registry_sync.garbage_claims import Claim
from registry_sync.garbage_counters import Counter
from registry_sync.models import Blob, Repository, RepositoryBlob
from registry_sync.storage.base import Link, LinkKind, Storage, StorageUnavailableError

# Told, within the transaction that ends them, which digests are gone.
Told = Callable[[set[str]], None]


def _nobody(_gone: set[str]) -> None:
    """Tell nobody."""


def remove(storage: Storage, claim: Claim, *, workers: int = 1, told: Told = _nobody) -> set[str]:
    """Remove what was claimed; return what is gone. Raises ``StorageUnavailableError``.

    Where the storage fails before anything was removed for good, all of it lives again.
    """
    removed: set[str] = set()
    remove_each(
        storage,
        iter([(claim, told)]),
        workers=workers,
        ended=lambda _claim, gone: removed.update(gone),
    )
    return removed


def remove_each(
    storage: Storage,
    claims: Iterator[tuple[Claim, Told]],
    *,
    workers: int = 1,
    at_once: int = 1,
    ended: Callable[[Claim, set[str]], None],
) -> None:
    """Remove claim after claim; call ``ended`` of each with what is gone.

    Raises ``StorageUnavailableError``, and what ``ended`` raises. ``at_once``: while threads move
    the files of one, the rows of another are worked on here. What was claimed is brought to its end
    also where this ends early.
    """
    under_way: deque[_Removal] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for claim, told in claims:
                under_way.append(_Removal(claim, _stages(storage, claim, workers, told), pool))
                while len(under_way) >= at_once:
                    _step(under_way, ended)
            while under_way:
                _step(under_way, ended)
        finally:
            while under_way:
                # What ends us is told already; whoever comes next finishes what this one cannot.
                with contextlib.suppress(Exception):
                    _step(under_way, ended)


def _step(under_way: "deque[_Removal]", ended: Callable[[Claim, set[str]], None]) -> None:
    """Take the eldest one stage further; tell where it has ended."""
    removal = under_way.popleft()
    if removal.go_on():
        under_way.append(removal)
    else:
        ended(removal.claim, removal.gone)


# What threads have to do before the next stage; in the end, what is gone.
_Stages = Generator[list[Callable[[], None]], None, set[str]]


class _Removal:
    """One claim on its way through the stages."""

    def __init__(self, claim: Claim, stages: _Stages, pool: ThreadPoolExecutor) -> None:
        """Begin it: the first stage is in the threads' hands afterwards."""
        self.claim, self.gone = claim, set[str]()
        self._stages, self._pool = stages, pool
        self._waiting: list[Future[None]] = []
        self._has_ended = not self._next(None)

    def go_on(self) -> bool:
        """Wait for the threads, begin the next stage; tell whether there was one."""
        if self._has_ended:
            return False
        # All of them: nothing is put back while another still sets aside.
        wait(self._waiting)
        errors = [error for work in self._waiting if (error := work.exception()) is not None]
        return self._next(errors[0] if errors else None)

    def _next(self, error: BaseException | None) -> bool:
        try:
            work = next(self._stages) if error is None else self._stages.throw(error)
        except StopIteration as end:
            self.gone = end.value
            return False
        self._waiting = [self._pool.submit(part) for part in work]
        return True


def _stages(storage: Storage, claim: Claim, workers: int, told: Told) -> _Stages:
    """Remove what was claimed: what is yielded must be done before it goes on."""
    if not claim.sizes:
        return set()
    token, digests = claim.token, sorted(claim.sizes)
    hit("gc.claimed")
    places = _places(digests)
    try:
        storage.prepare(token)
        yield _shared(
            digests,
            lambda part: storage.set_aside(
                token, {digest: places.get(digest, ()) for digest in part}, with_bytes=False
            ),
            workers,
        )
        hit("gc.links_aside")
        # Who was stopped here for long must not take out of sight what others pushed meanwhile.
        yield _shared(
            sorted(garbage_claims.held(claim)),
            lambda part: storage.set_aside(token, dict.fromkeys(part, ()), with_bytes=True),
            workers,
        )
        hit("gc.bytes_aside")
    except StorageUnavailableError:
        _undo(storage, claim)
        raise
    mine = garbage_claims.held(claim)
    hit("gc.checked")
    if lost := [digest for digest in digests if digest not in mine]:
        put_back(storage, token, lost)
    yield _shared(sorted(mine), lambda part: storage.discard(token, part), workers)
    hit("gc.discarded")
    storage.finish(token)
    gone = garbage_claims.end(claim, told)
    hit("gc.gone")
    return gone


def _places(digests: list[str]) -> dict[str, list[Link]]:
    """Return where each is linked, as the rows say that were written before the links were.

    While a row is ``deleting`` none is added.
    """
    found: dict[str, list[Link]] = {}
    sql = _LINKS.format(statements.marks(digests))
    for digest, kind, key, path in statements.run_once(Statement(sql, digests)):
        found.setdefault(digest, []).append(Link(f"{key}/{path}", _kind(kind)))
    return found


_LINKS = """
SELECT l.digest, l.kind, p.registry_key, r.path FROM registry_sync_repositoryblob l
JOIN registry_sync_repository r ON r.id = l.repository_id
JOIN accounts_project p ON p.id = r.project_id
WHERE l.digest IN ({})
"""


def link_of(row: RepositoryBlob) -> Link:
    """Return a row's link; its repository and project were read with it."""
    return Link(row.repository.registry_name, _kind(row.kind))


def _kind(name: str) -> LinkKind:
    return "manifest" if name == RepositoryBlob.Kind.MANIFEST else "layer"


def _shared(
    digests: list[str], work: Callable[[list[str]], None], workers: int
) -> list[Callable[[], None]]:
    """Share the digests out among so many threads."""
    parts = (digests[n::workers] for n in range(workers))
    return [partial(work, part) for part in parts if part]


def _undo(storage: Storage, claim: Claim) -> None:
    """Put everything back and let it live; what cannot be is found when the lease has ended."""
    returned: dict[str, int | None] = {}
    try:
        for digest, size in claim.sizes.items():
            storage.put_back(claim.token, [digest])
            returned[digest] = size
        storage.finish(claim.token)
    except StorageUnavailableError:
        # What was put back may live; the rest waits for who takes the claim over.
        pass
    garbage_claims.release(Claim(claim.token, returned))


# --- What others left behind ------------------------------------------------------------------


def finish_abandoned(
    storage: Storage,
    *,
    owner: str,
    only: str = "",
    workers: int = 1,
    telling: Callable[[Claim], Told] = lambda _claim: _nobody,
) -> set[str]:
    """Finish the claims whose lease ended, or the one of ``only``; return what is gone.

    ``telling`` gives what is told of a claim's end.
    """
    gone: set[str] = set()
    for former, claim in garbage_claims.take_over(owner=owner, only=only).items():
        garbage_counters.count(Counter.TAKEOVERS, len(claim.sizes))
        storage.put_back(former, list(claim.sizes))
        storage.finish(former)
        gone |= remove(storage, claim, workers=workers, told=telling(claim))
    return gone


def recover(storage: Storage) -> int:
    """Put back what lies aside and is nobody's claim; return how much."""
    count = 0
    aside: dict[str, list[str]] = {}
    for token, digest in storage.lying_aside():
        aside.setdefault(token, []).append(digest)
    for token, digests in aside.items():
        claimed = Blob.objects.removed(Blob.State.DELETING).filter(claim_token=token)
        held = set(claimed.values_list("digest", flat=True))
        if lost := [digest for digest in digests if digest not in held]:
            put_back(storage, token, lost)
            count += len(lost)
        if not held:
            storage.finish(token)
    return count


def put_back(storage: Storage, token: str, digests: Sequence[str]) -> None:
    """Let the registry see again what a lost claim has set aside, with the rows it needs.

    Its owner may have renamed after others had finished, and pushed anew: whether it is garbage
    is for the next run to find.
    """
    links = storage.set_aside_links(token, digests)
    now = timezone.now()

    def work() -> None:
        at = statements.moment(now)
        statements.run_once(
            statements.insert_values(
                Blob,
                ("digest", "generation", "touched_at"),
                [(digest, garbage_claims.new_generation(), at) for digest in sorted(digests)],
                "ON CONFLICT (digest) DO NOTHING",
            )
        )
        rows = [
            (repository_id, digest, kind, RepositoryBlob.State.EXPECTED.value, at)
            for digest in sorted(digests)
            for repository_id, kind in _known(links[digest])
        ]
        if rows:
            statements.run_once(
                statements.insert_values(
                    RepositoryBlob,
                    ("repository_id", "digest", "kind", "state", "touched_at"),
                    rows,
                    "ON CONFLICT (repository_id, digest, kind) DO NOTHING",
                )
            )

    transactions.run(work)
    storage.put_back(token, digests)


def _known(links: Iterable[Link]) -> list[tuple[int, str]]:
    """Return the repositories of links, as far as there are rows of them."""
    found: list[tuple[int, str]] = []
    for link in links:
        key, _slash, path = link.repository.partition("/")
        repository = Repository.objects.filter(project__registry_key=key, path=path).first()
        if repository is not None:
            found.append((repository.pk, link.kind))
    return found
