"""What keeps collection from losing anything: each rule, how to switch it off, who notices."""

from dataclasses import dataclass

STATE_MACHINE = "tests/live/test_garbage_model.py"
COLLECTION = "tests/registry_sync/test_garbage.py"
REFUSALS = "tests/registry_sync/test_garbage_refusals.py"
LINKS = "tests/registry_sync/test_garbage_links.py"
SETTLING = "tests/registry_sync/test_garbage_settling.py"
PURGING = "tests/registry_sync/test_purging.py"

_CLAIMS = "registry_sync/garbage_claims.py"
_SWEEP = "registry_sync/garbage_sweep.py"
_TOMBSTONES = "registry_sync/garbage_tombstones.py"
_LINKS = "registry_sync/garbage_links.py"
_CANDIDATES = "registry_sync/garbage_candidates.py"
_GARBAGE = "registry_sync/garbage.py"
_EPOCH = "registry_sync/garbage_epoch.py"
_BLOBS = "registry_sync/blobs.py"
_PURGING = "registry_sync/purging.py"
_PRECHECK = "registry_sync/gateway/precheck.py"
_UPLOADS = "registry_sync/gateway/uploads.py"
_GATEWAY_BLOBS = "registry_sync/gateway/blobs.py"
_WAITING = "registry_sync/gateway/waiting.py"


@dataclass(frozen=True, slots=True)
class Change:
    """A text in a file, there once, and what stands there without the rule."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, and the tests of which at least one must go red without it."""

    name: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...] = (STATE_MACHINE,)


def _rule(name: str, path: str, old: str, new: str, *tests: str) -> Rule:
    return Rule(name, (Change(path, old, new),), tests or (STATE_MACHINE,))


_COMMIT = (
    _rule(
        "commit: every pin is looked at again", _BLOBS, "if len(held) != len(pins):", "if False:"
    ),
    _rule(
        "commit: a pin is of one generation",
        _BLOBS,
        " and row.generation == pins[row.digest]",
        "",
    ),
    _rule("revival: a new generation", _BLOBS, "generations[digest] = _new_generation()", "pass"),
    _rule(
        "announce: a row before the upload ends",
        _PRECHECK,
        "patiently(digest, lambda: blobs.expect(repository, digest))",
        "",
    ),
    _rule(
        "announce: a row before the mount",
        _UPLOADS,
        "        generation = blobs.expect(repository, mount.digest)\n",
        "        generation = None\n",
    ),
    _rule(
        "HEAD: only what was seen present is believed",
        _BLOBS,
        "l.kind = 'layer' AND l.state = 'present' AND l.digest IN",
        "l.kind = 'layer' AND l.digest IN",
    ),
    _rule(
        "HEAD: counts the grace anew",
        _GATEWAY_BLOBS,
        "blobs.touch(standing.repository(), digest)",
        "pass",
    ),
    _rule(
        "HEAD: the registry's word is of one generation",
        _BLOBS,
        "if generation is not None and found[digest] != generation:",
        "if False:",
    ),
    _rule(
        "HEAD: what is being removed is not here",
        _GATEWAY_BLOBS,
        "if row is not None and row[0] != Blob.State.LIVE:",
        "if False:",
    ),
    _rule(
        "pin: counts the grace anew",
        _BLOBS,
        "    _touch_stale(rows.values(), now)\n    return generations",
        "    return generations",
    ),
    _rule(
        "pin: of the links too",
        _BLOBS,
        "            *_touched_links(repository, blob_digests, now),\n",
        "",
    ),
    _rule(
        "pin: nothing that is being removed",
        _BLOBS,
        "if row is None or row.state == Blob.State.DELETING:",
        "if row is None:",
    ),
)
_CLAIM = (
    _rule(
        "mount: the registry's word is of one generation",
        _UPLOADS,
        "mount.size, generation=generation)",
        "mount.size)",
    ),
    _rule(
        "mark: what is in the trash is needed",
        _CANDIDATES,
        'SELECT 1 FROM registry_sync_artifact a WHERE a.digest = b.digest)\n"""\n# The order',
        "SELECT 1 FROM registry_sync_artifact a WHERE a.digest = b.digest "
        'AND a.trash_entry_id IS NULL)\n"""\n# The order',
    ),
    _rule(
        "claim: no layer that an image needs by now",
        _CLAIMS,
        "SELECT 1 FROM registry_sync_artifactblob u WHERE u.digest = registry_sync_blob.digest)",
        "SELECT 1 WHERE 1 = 0)",
    ),
    _rule(
        "claim: no manifest that is there by now",
        _CLAIMS,
        "SELECT 1 FROM registry_sync_artifact a WHERE a.digest = registry_sync_blob.digest)\nRET",
        "SELECT 1 WHERE 1 = 0)\nRET",
    ),
    _rule(
        "claim: nothing touched within the grace",
        _CLAIMS,
        "WHERE digest IN ({}) AND state = 'live' AND touched_at < %s\nAND NOT",
        "WHERE digest IN ({}) AND state = 'live' AND (touched_at < %s OR 1 = 1)\nAND NOT",
    ),
    _rule(
        "claim: nothing that another has claimed",
        _CLAIMS,
        "WHERE digest IN ({}) AND state = 'live' AND touched_at < %s\nAND NOT",
        "WHERE digest IN ({}) AND state IN ('live', 'deleting') AND touched_at < %s\nAND NOT",
    ),
    _rule(
        "claim: the links count as unseen",
        _CLAIMS,
        "            statements.run_once(Statement(_UNSEEN.format(marks), list(sizes)))",
        "            pass",
    ),
)
_REMOVE = (
    _rule(
        "sweep: looked at again before the bytes are renamed",
        _SWEEP,
        "            sorted(garbage_claims.held(claim)),\n",
        "            digests,\n",
    ),
    _rule(
        "sweep: looked at again before anything is unlinked",
        _SWEEP,
        "    mine = garbage_claims.held(claim)\n",
        "    mine = set(digests)\n",
    ),
    _rule(
        "sweep: who lost the claim puts back",
        _SWEEP,
        "        put_back(storage, token, lost)\n    yield",
        "        pass\n    yield",
    ),
    _rule(
        "sweep: what is put back has rows",
        _SWEEP,
        "    transactions.run(work)\n    storage.put_back(token, digests)",
        "    storage.put_back(token, digests)",
    ),
    _rule(
        "sweep: gone by the token alone",
        _CLAIMS,
        "WHERE state = 'deleting' AND claim_token = %s AND digest IN ({}) RETURNING digest\n"
        '"""\n#',
        'WHERE (claim_token = %s OR 1 = 1) AND digest IN ({}) RETURNING digest\n"""\n#',
    ),
    _rule(
        "sweep: where the storage fails all of it lives again",
        _SWEEP,
        "        _undo(storage, claim)\n        raise",
        "        raise",
        REFUSALS,
    ),
    _rule(
        "takeover: what the former owner set aside is put back first",
        _SWEEP,
        "        storage.put_back(former, list(claim.sizes))\n",
        "",
    ),
    _rule(
        "takeover: only when the lease has ended",
        _CLAIMS,
        "WHERE state = 'deleting' AND claimed_until < %s\n",
        "WHERE state = 'deleting' AND (claimed_until < %s OR 1 = 1)\n",
    ),
    _rule(
        "recovery: what lies aside and is nobody's comes back",
        _SWEEP,
        "            put_back(storage, token, lost)\n            count",
        "            count",
    ),
    _rule(
        "recovery: what a claim holds stays aside",
        _SWEEP,
        "if lost := [digest for digest in digests if digest not in held]:",
        "if lost := digests:",
    ),
    _rule(
        "push: finishes what a dead collector had in hand",
        _WAITING,
        "            _finish_abandoned(digest)\n",
        "",
    ),
)
_LATER = (
    _rule(
        "tombstone: kept for the grace",
        _TOMBSTONES,
        "before = old_before(timezone.now())",
        "before = timezone.now()",
    ),
    _rule(
        "tombstone: late bytes live again",
        _TOMBSTONES,
        "            if size is None:",
        "            if True:",
    ),
    _rule(
        "tombstone: as a new generation",
        _TOMBSTONES,
        "SET state = 'live', generation = %s, touched_at",
        "SET state = 'live', generation = generation + 0 * %s, touched_at",
    ),
    _rule(
        "tombstone: a late link is removed",
        _TOMBSTONES,
        "        if storage.has_link(row.digest, link):",
        "        if False:",
    ),
    _rule(
        "tombstone: a link is removed under the lock",
        _TOMBSTONES,
        "            if _lock([digest], before):",
        "            if True:",
    ),
    _rule(
        "tombstone: dropped under the lock",
        _TOMBSTONES,
        "        mine = _lock(digests, before)\n",
        "        mine = digests\n",
    ),
    _rule(
        "tombstone: links' rows live as long",
        _CLAIMS,
        "            LayerIndex.objects.filter(digest__in=gone).delete()\n",
        "            LayerIndex.objects.filter(digest__in=gone).delete()\n"
        '            statements.run_once(Statement("DELETE FROM registry_sync_repositoryblob "\n'
        '                f"WHERE digest IN ({marks})", gone))\n',
    ),
    _rule(
        "links: what an image came to need stays",
        _LINKS,
        "WHERE l.id IN ({}) AND l.digest IN ({}) AND l.touched_at < %s\n",
        'WHERE l.id IN ({}) AND l.digest IN ({}) AND l.touched_at < %s\n"""\n_NEEDED = """\n',
        LINKS,
    ),
    _rule(
        "links: what was touched meanwhile stays",
        _LINKS,
        "AND l.digest IN ({}) AND l.touched_at < %s\n",
        "AND l.digest IN ({}) AND (l.touched_at < %s OR 1 = 1)\n",
        LINKS,
    ),
    Rule(
        "links: renamed under the locks, not after them",
        (
            Change(
                _LINKS,
                "        storage.set_aside(token, _by_digest(tried), with_bytes=False)\n",
                "",
            ),
            Change(
                _LINKS,
                "    storage.discard(token, [digest for digest, _link in removed])",
                "    storage.set_aside(token, _by_digest(removed), with_bytes=False)\n"
                "    storage.discard(token, [digest for digest, _link in removed])",
            ),
        ),
        (LINKS,),
    ),
    _rule(
        "links: cut off before the commit, put back",
        _LINKS,
        "        storage.put_back(token, [digest for digest, _link in tried])\n        storage.fin",
        "        storage.fin",
        LINKS,
    ),
)
_REFUSALS = (
    _rule(
        "brake: nothing unexplained",
        _GARBAGE,
        "        _brake(run)\n",
        "        pass\n",
        REFUSALS,
    ),
    _rule(
        "interlock: no run on a storage of another life",
        _EPOCH,
        "    require(storage)\n    _move",
        "    _move",
        REFUSALS,
    ),
    _rule(
        "interlock: no dry run either",
        _GARBAGE,
        "            garbage_epoch.require(storage)\n",
        "",
        REFUSALS,
    ),
    _rule(
        "interlock: the marker moves on behind the database",
        _EPOCH,
        "    elif marker not in {row.current, row.previous}:",
        "    elif marker != row.current:",
        REFUSALS,
    ),
    _rule(
        "interlock: no repair either",
        "registry_sync/fsck.py",
        "        garbage_epoch.require(configured_storage())\n",
        "        pass\n",
        "tests/registry_sync/test_fsck.py",
    ),
    _rule(
        "grace: not below its floor",
        "portal/settings.py",
        'if (1 if env.bool("MOORAGE_UNSAFE_GC_GRACE", default=False) else _shortest) > '
        "MOORAGE_GC_GRACE:",
        "if False:",
        "tests/portal/test_grace.py",
    ),
    _rule(
        "purge: counts the grace anew",
        _PURGING,
        "held.update(touched_at=now, is_settled=False)",
        "held.update(is_settled=False)",
        COLLECTION,
        PURGING,
    ),
    _rule(
        "purge: nothing that it drops stays settled",
        _PURGING,
        "held.update(touched_at=now, is_settled=False)",
        "held.update(touched_at=now)",
        SETTLING,
    ),
    _rule(
        "purge: no link that it drops stays settled",
        _PURGING,
        "links.update(touched_at=now, is_settled=False)",
        "links.update(touched_at=now)",
        SETTLING,
    ),
    _rule(
        "purge: only what was not restored",
        _PURGING,
        "        pk=entry_id, repository=repository, state=TrashEntry.State.TRASHED\n",
        "        pk=entry_id, repository=repository\n",
        PURGING,
    ),
    _rule(
        "storage: an empty mount point is no empty registry",
        "registry_sync/storage/filesystem.py",
        "        if not self._root.is_dir():",
        "        if False:",
        "tests/contracts/test_storage.py",
    ),
)
RULES = (*_COMMIT, *_CLAIM, *_REMOVE, *_LATER, *_REFUSALS)
