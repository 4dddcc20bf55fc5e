"""Rules around the removal itself: the second look, links, refusals, grace, purges."""

from tools.garbage_rule import Change, Rule, rule

COLLECTION = "tests/registry_sync/test_garbage.py"
REFUSALS = "tests/registry_sync/test_garbage_refusals.py"
LINKS = "tests/registry_sync/test_garbage_links.py"
SETTLING = "tests/registry_sync/test_garbage_settling.py"
PURGING = "tests/registry_sync/test_purging.py"

TOMBSTONES = "tests/registry_sync/test_garbage_tombstones.py"
CLAIMS = "tests/registry_sync/test_garbage_claims.py"
_CLAIMS = "registry_sync/garbage_claims.py"
_TOMBSTONES = "registry_sync/garbage_tombstones.py"
_LINKS = "registry_sync/garbage_links.py"
_GARBAGE = "registry_sync/garbage.py"
_EPOCH = "registry_sync/garbage_epoch.py"
_PURGING = "registry_sync/purging.py"

LATER = (
    rule(
        "tombstone: kept for the grace",
        _TOMBSTONES,
        "before = old_before(timezone.now())",
        "before = timezone.now()",
        TOMBSTONES,
    ),
    rule(
        "tombstone: late bytes live again",
        _TOMBSTONES,
        "            if size is None:",
        "            if True:",
        TOMBSTONES,
    ),
    rule(
        "tombstone: as a new generation",
        _TOMBSTONES,
        "SET state = 'live', generation = %s, touched_at",
        "SET state = 'live', generation = generation + 0 * %s, touched_at",
        TOMBSTONES,
    ),
    rule(
        "tombstone: a late link is removed",
        _TOMBSTONES,
        "        if storage.has_link(row.digest, link):",
        "        if False:",
        TOMBSTONES,
    ),
    rule(
        "tombstone: a link is removed under the lock",
        _TOMBSTONES,
        "            if _lock([digest], before):",
        "            if True:",
        TOMBSTONES,
    ),
    rule(
        "tombstone: dropped under the lock",
        _TOMBSTONES,
        "        mine = _lock(digests, before)\n",
        "        mine = digests\n",
        TOMBSTONES,
    ),
    rule(
        "tombstone: links' rows live as long",
        _CLAIMS,
        "            LayerIndex.objects.filter(digest__in=gone).delete()\n",
        "            LayerIndex.objects.filter(digest__in=gone).delete()\n"
        '            statements.run_once(Statement("DELETE FROM registry_sync_repositoryblob "\n'
        '                f"WHERE digest IN ({marks})", gone))\n',
        CLAIMS,
    ),
    rule(
        "links: what an image came to need stays",
        _LINKS,
        "WHERE l.id IN ({}) AND l.digest IN ({}) AND l.touched_at < %s\n",
        'WHERE l.id IN ({}) AND l.digest IN ({}) AND l.touched_at < %s\n"""\n_NEEDED = """\n',
        LINKS,
    ),
    rule(
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
    rule(
        "links: cut off before the commit, put back",
        _LINKS,
        "        storage.put_back(token, [digest for digest, _link in tried])\n        storage.fin",
        "        storage.fin",
        LINKS,
    ),
)
REFUSALS_OF_RUNS = (
    rule(
        "brake: nothing unexplained",
        _GARBAGE,
        "        _brake(run)\n",
        "        pass\n",
        REFUSALS,
    ),
    rule(
        "interlock: no run on a storage of another life",
        _EPOCH,
        "    require(storage)\n    _move",
        "    _move",
        REFUSALS,
    ),
    rule(
        "interlock: no dry run either",
        _GARBAGE,
        "            garbage_epoch.require(storage)\n",
        "",
        REFUSALS,
    ),
    rule(
        "interlock: the marker moves on behind the database",
        _EPOCH,
        "    elif marker not in {row.current, row.previous}:",
        "    elif marker != row.current:",
        REFUSALS,
    ),
    rule(
        "interlock: no repair either",
        "registry_sync/fsck.py",
        "        garbage_epoch.require(configured_storage())\n",
        "        pass\n",
        "tests/registry_sync/test_fsck.py",
    ),
    rule(
        "grace: not below its floor",
        "portal/settings.py",
        'if (1 if env.bool("MOORAGE_UNSAFE_GC_GRACE", default=False) else _shortest) > '
        "MOORAGE_GC_GRACE:",
        "if False:",
        "tests/portal/test_grace.py",
    ),
    rule(
        "purge: counts the grace anew",
        _PURGING,
        "held.update(touched_at=now, is_settled=False)",
        "held.update(is_settled=False)",
        COLLECTION,
        PURGING,
    ),
    rule(
        "purge: nothing that it drops stays settled",
        _PURGING,
        "held.update(touched_at=now, is_settled=False)",
        "held.update(touched_at=now)",
        SETTLING,
    ),
    rule(
        "purge: no link that it drops stays settled",
        _PURGING,
        "links.update(touched_at=now, is_settled=False)",
        "links.update(touched_at=now)",
        SETTLING,
    ),
    rule(
        "purge: only what was not restored",
        _PURGING,
        "        pk=entry_id, repository=repository, state=TrashEntry.State.TRASHED\n",
        "        pk=entry_id, repository=repository\n",
        PURGING,
    ),
    rule(
        "storage: an empty mount point is no empty registry",
        "registry_sync/storage/filesystem.py",
        "        if not self._root.is_dir():",
        "        if False:",
        "tests/contracts/test_storage.py",
    ),
)
