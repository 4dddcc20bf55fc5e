"""P9: verdicts of retention over 1 000 000 tags, streamed, against the same rules row by row."""

import datetime
import hashlib
import os
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

from bench.catalogue import a_project, database
from tests.postgres import cluster

# Fewer on the command line, for a first look.
REPOSITORIES = int(sys.argv[1]) if len(sys.argv) > 1 else 100
TAGS = 10_000
_DAY = 86400

# A third of the tags are versions, a third builds of branches, a third commits.
_SEED = """
INSERT INTO registry_sync_manifestbody (digest, media_type, content)
SELECT 'sha256:' || encode(sha256((n)::text::bytea), 'hex'), 'application/json', '{{}}'
FROM generate_series(0, {all} - 1) n;
INSERT INTO registry_sync_repository (project_id, path, description, created_at, pushed_at)
SELECT {project}, 'r' || lpad(r::text, 4, '0'), '', now(), now()
FROM generate_series(0, {repositories} - 1) r;
INSERT INTO registry_sync_artifact (repository_id, digest, kind, media_type, artifact_type, size,
  os, architecture, variant, author, config, annotations, subject_digest, pushed_by_name,
  pushed_at, created_at{more})
SELECT p.id, 'sha256:' || encode(sha256((p.number * {tags} + n)::text::bytea), 'hex'), 'image',
  'application/json', '', 1000, '', '', '', '', '{{}}', '{{}}', '', 'bench',
  now() - n * interval '1 hour', now(){values}
FROM (SELECT id, (row_number() OVER (ORDER BY path)) - 1 AS number FROM registry_sync_repository)
  p, generate_series(0, {tags} - 1) n;
INSERT INTO registry_sync_tag (repository_id, name, artifact_id, sort_key, pushed_by_name,
  pushed_at)
SELECT a.repository_id, CASE a.id % 3 WHEN 0 THEN 'v1.' || a.id WHEN 1 THEN 'pr-' || a.id
  ELSE 'sha-' || a.id END, a.id, 'x', 'bench', a.pushed_at
FROM registry_sync_artifact a;
ANALYZE;
"""
RULES = [
    ("latestPushedK", 100, "v*"),
    ("nDaysSinceLastPush", 30, "pr-*"),
    ("latestPushedK", 10, "{sha,build}-*"),
]


def main() -> int:
    """Seed, judge both ways, compare; 1 where the verdicts differ."""
    os.environ["MOORAGE_TEST_DATABASE"] = "postgresql"
    with cluster() as url:
        os.environ["MOORAGE_TEST_DATABASE_URL"] = url
        with database():
            return _measure()


def _measure() -> int:
    from django.utils import timezone  # noqa: PLC0415 - only once Django is set up

    from registry_sync.retention_policies import Terms, reading_of  # noqa: PLC0415

    project = a_project()
    _seed(project)
    now = timezone.now()
    reading = reading_of(Terms([_rule(*rule) for rule in RULES]))
    ours, our_seconds, growth, first = _timed(_streamed(project, reading, now))
    theirs, their_seconds, _growth, _first = _timed(_row_by_row(project, now))
    total = REPOSITORIES * TAGS
    print("## P9: verdicts of retention\n")
    print("| What | Tags | Removed | CPU seconds | First rows after | Memory grew by |")
    print("|---|---|---|---|---|---|")
    print(f"| streamed | {total} | {ours[0]} | {our_seconds:.1f} | {first:.2f} s | {growth} MiB |")
    print(f"| row by row | {total} | {theirs[0]} | {their_seconds:.1f} | | |")
    print(f"\nRatio {their_seconds / our_seconds:.2f} (goal 3), identical: {ours == theirs}\n")
    return 0 if ours == theirs else 1


def _timed(verdicts: Iterator[list[int]]) -> tuple[tuple[int, str], float, int, float]:
    """Return how many images go with a digest of which, the CPU seconds, MiB, seconds to the first.

    Of this process alone: what the database does is the same for both.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, worked = time.perf_counter(), time.process_time()
    first, count, which = 0.0, 0, hashlib.sha256()
    for part in verdicts:
        first = first or time.perf_counter() - began
        count += len(part)
        which.update(repr(sorted(part)).encode())
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    return (count, which.hexdigest()), time.process_time() - worked, growth, first


def _streamed(project: Any, reading: Any, now: datetime.datetime) -> Iterator[list[int]]:
    from registry_sync.retention_plan import judged  # noqa: PLC0415

    for part in judged(project.pk, reading, now):
        yield [verdict.image.key for verdict in part.verdicts if not verdict.is_kept]


def _row_by_row(project: Any, now: datetime.datetime) -> Iterator[list[int]]:
    """The same rules as one would write them down: each tag an object, each rule a pattern."""
    from wcmatch import glob  # noqa: PLC0415

    from registry_sync.models import Repository, Tag  # noqa: PLC0415

    flags = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX
    for repository in Repository.objects.filter(project=project).order_by("path"):
        tags = list(Tag.objects.filter(repository=repository).select_related("artifact"))
        kept: set[int | None] = set()
        spoken: set[int | None] = set()
        for template, parameter, pattern in RULES:
            chosen = [tag for tag in tags if glob.globmatch(tag.name, pattern, flags=flags)]
            spoken |= {tag.artifact_id for tag in chosen}
            if template == "latestPushedK":
                chosen.sort(key=lambda tag: (tag.pushed_at, tag.artifact_id), reverse=True)
                kept |= {tag.artifact_id for tag in chosen[:parameter]}
            else:
                limit = now - datetime.timedelta(days=parameter)
                kept |= {tag.artifact_id for tag in chosen if tag.pushed_at >= limit}
        yield [key for key in spoken - kept if key is not None]


def _rule(template: str, parameter: int, pattern: str) -> dict[str, Any]:
    return {
        "template": template,
        "params": {template: parameter},
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": pattern}],
    }


def _seed(project: Any) -> None:
    from django.db import connection  # noqa: PLC0415

    from registry_sync.models import Artifact  # noqa: PLC0415

    known = {
        *[
            "id",
            "repository_id",
            "digest",
            "kind",
            "media_type",
            "artifact_type",
            "size",
            "os",
            "architecture",
        ],
        *["variant", "author", "config", "annotations", "subject_digest", "pushed_by_name"],
        *["pushed_at", "created_at"],
    }
    columns = [field for field in Artifact._meta.local_fields if field.column not in known]
    needed = [field for field in columns if not field.null and not field.has_db_default()]
    with connection.cursor() as cursor:
        cursor.execute(
            _SEED.format(
                all=REPOSITORIES * TAGS,
                repositories=REPOSITORIES,
                tags=TAGS,
                project=project.pk,
                more="".join(f", {field.column}" for field in needed),
                values="".join(f", '{_empty(field)}'" for field in needed),
            )
        )


def _empty(field: Any) -> object:
    value = field.get_default()
    return "{}" if isinstance(value, dict) else "[]" if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
