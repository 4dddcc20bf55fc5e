"""What keeps collection from losing anything: each rule, how to switch it off, who notices."""

from tools.garbage_rule import rule
from tools.garbage_rules_around import LATER, REFUSALS_OF_RUNS

REFUSALS = "tests/registry_sync/test_garbage_refusals.py"
BLOBS = "tests/registry_sync/test_blobs.py"
GATEWAY_BLOBS = "tests/registry_sync/gateway/test_blobs.py"

CLAIMS = "tests/registry_sync/test_garbage_claims.py"
SWEEP = "tests/registry_sync/test_garbage_sweep.py"
COLLECTION = "tests/registry_sync/test_garbage.py"
_CLAIMS = "registry_sync/garbage_claims.py"
_SWEEP = "registry_sync/garbage_sweep.py"
_CANDIDATES = "registry_sync/garbage_candidates.py"
_BLOBS = "registry_sync/blobs.py"
_PRECHECK = "registry_sync/gateway/precheck.py"
_UPLOADS = "registry_sync/gateway/uploads.py"
_GATEWAY_BLOBS = "registry_sync/gateway/blobs.py"
_WAITING = "registry_sync/gateway/waiting.py"

_COMMIT = (
    rule(
        "commit: every pin is looked at again",
        _BLOBS,
        "if len(held) != len(pins) or _links_here(repository, pins) < len(pins):",
        "if False:",
    ),
    rule(
        "commit: every pin is linked here still",
        _BLOBS,
        " or _links_here(repository, pins) < len(pins):",
        ":",
    ),
    rule(
        "commit: no link without a row where it is refused",
        "registry_sync/catalog.py",
        "    with late_links.announced_again(repository, push.manifest.digest):\n",
        "    if True:\n",
        "tests/registry_sync/test_late_links.py",
    ),
    rule(
        "commit: a pin is of one generation",
        _BLOBS,
        " and row.generation == pins[row.digest]",
        "",
        BLOBS,
    ),
    rule("revival: a new generation", _BLOBS, "generations[digest] = _new_generation()", "pass"),
    rule(
        "announce: a row before the upload ends",
        _PRECHECK,
        "patiently(digest, lambda: blobs.expect(repository, digest))",
        "",
    ),
    rule(
        "announce: a row before the mount",
        _UPLOADS,
        "        announced = blobs.expect(repository, mount.digest)\n",
        "        announced = None\n",
    ),
    rule(
        "HEAD: only what was seen present is believed",
        _BLOBS,
        "l.kind = 'layer' AND l.state = 'present' AND l.digest IN",
        "l.kind = 'layer' AND l.digest IN",
        BLOBS,
    ),
    rule(
        "HEAD: counts the grace anew",
        _GATEWAY_BLOBS,
        "blobs.touch(standing.repository(), digest)",
        "pass",
        GATEWAY_BLOBS,
    ),
    rule(
        "HEAD: the registry's word is of one generation",
        _BLOBS,
        "if since is not None and found[digest] != since.generation:",
        "if False:",
    ),
    rule(
        "HEAD, mount: the registry's word is of one link",
        _BLOBS,
        "is_seen = since is None or since.link is None or _has_link(since.link)",
        "is_seen = True",
    ),
    rule(
        "HEAD, mount: no link without a row where it is not believed",
        _BLOBS,
        "        state = states.PRESENT if is_seen else states.EXPECTED\n",
        "        if not is_seen:\n            return False\n        state = states.PRESENT\n",
    ),
    rule(
        "HEAD: what is being removed is not here",
        _GATEWAY_BLOBS,
        "if rows is not None and rows.state != Blob.State.LIVE:",
        "if False:",
        GATEWAY_BLOBS,
    ),
    rule(
        "pin: counts the grace anew",
        _BLOBS,
        "    _touch_stale(rows.values(), now)\n    return generations",
        "    return generations",
        BLOBS,
    ),
    rule(
        "pin: of the links too",
        _BLOBS,
        "            *_touched_links(repository, blob_digests, now),\n",
        "",
        BLOBS,
    ),
    rule(
        "pin: nothing that is being removed",
        _BLOBS,
        "if row is None or row.state == Blob.State.DELETING:",
        "if row is None:",
    ),
)
_CLAIM = (
    rule(
        "mount: the registry's word is of one generation",
        _UPLOADS,
        "mount.size, since=announced)",
        "mount.size)",
    ),
    rule(
        "mark: what is in the trash is needed",
        _CANDIDATES,
        'SELECT 1 FROM registry_sync_artifact a WHERE a.digest = b.digest)\n"""\n# The order',
        "SELECT 1 FROM registry_sync_artifact a WHERE a.digest = b.digest "
        'AND a.trash_entry_id IS NULL)\n"""\n# The order',
        COLLECTION,
    ),
    rule(
        "claim: no layer that an image needs by now",
        _CLAIMS,
        "SELECT 1 FROM registry_sync_artifactblob u WHERE u.digest = registry_sync_blob.digest)",
        "SELECT 1 WHERE 1 = 0)",
        CLAIMS,
    ),
    rule(
        "claim: no manifest that is there by now",
        _CLAIMS,
        "SELECT 1 FROM registry_sync_artifact a WHERE a.digest = registry_sync_blob.digest)\nRET",
        "SELECT 1 WHERE 1 = 0)\nRET",
        CLAIMS,
    ),
    rule(
        "claim: nothing touched within the grace",
        _CLAIMS,
        "WHERE digest IN ({}) AND state = 'live' AND touched_at < %s\nAND NOT",
        "WHERE digest IN ({}) AND state = 'live' AND (touched_at < %s OR 1 = 1)\nAND NOT",
        CLAIMS,
    ),
    rule(
        "claim: nothing that another has claimed",
        _CLAIMS,
        "WHERE digest IN ({}) AND state = 'live' AND touched_at < %s\nAND NOT",
        "WHERE digest IN ({}) AND state IN ('live', 'deleting') AND touched_at < %s\nAND NOT",
        CLAIMS,
    ),
    rule(
        "claim: the links count as unseen",
        _CLAIMS,
        "            statements.run_once(Statement(_UNSEEN.format(marks), list(sizes)))",
        "            pass",
        CLAIMS,
    ),
)
_REMOVE = (
    rule(
        "sweep: looked at again before the bytes are renamed",
        _SWEEP,
        "            sorted(garbage_claims.held(claim)),\n",
        "            digests,\n",
        SWEEP,
    ),
    rule(
        "sweep: looked at again before anything is unlinked",
        _SWEEP,
        "    mine = garbage_claims.held(claim)\n",
        "    mine = set(digests)\n",
        SWEEP,
    ),
    rule(
        "sweep: who lost the claim puts back",
        _SWEEP,
        "        put_back(storage, token, lost)\n    yield",
        "        pass\n    yield",
        SWEEP,
    ),
    rule(
        "sweep: what is put back has rows",
        _SWEEP,
        "    transactions.run(work)\n    storage.put_back(token, digests)",
        "    storage.put_back(token, digests)",
        SWEEP,
    ),
    rule(
        "sweep: gone by the token alone",
        _CLAIMS,
        "WHERE state = 'deleting' AND claim_token = %s AND digest IN ({}) RETURNING digest\n"
        '"""\n#',
        'WHERE (claim_token = %s OR 1 = 1) AND digest IN ({}) RETURNING digest\n"""\n#',
        CLAIMS,
    ),
    rule(
        "sweep: where the storage fails all of it lives again",
        _SWEEP,
        "        _undo(storage, claim)\n        raise",
        "        raise",
        REFUSALS,
    ),
    rule(
        "takeover: what the former owner set aside is put back first",
        _SWEEP,
        "        storage.put_back(former, list(claim.sizes))\n",
        "",
        SWEEP,
    ),
    rule(
        "takeover: only when the lease has ended",
        _CLAIMS,
        "AND NOT state = 'live' AND claimed_until < %s\n",
        "AND NOT state = 'live' AND (claimed_until < %s OR 1 = 1)\n",
        CLAIMS,
    ),
    rule(
        "recovery: what lies aside and is nobody's comes back",
        _SWEEP,
        "            put_back(storage, token, lost)\n            count",
        "            count",
        SWEEP,
    ),
    rule(
        "recovery: what a claim holds stays aside",
        _SWEEP,
        "if lost := [digest for digest in digests if digest not in held]:",
        "if lost := digests:",
        SWEEP,
    ),
    rule(
        "push: finishes what a dead collector had in hand",
        _WAITING,
        "            _finish_abandoned(digest)\n",
        "",
        SWEEP,
    ),
)
RULES = (*_COMMIT, *_CLAIM, *_REMOVE, *LATER, *REFUSALS_OF_RUNS)
