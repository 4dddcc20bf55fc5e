"""P15: what the audit costs: changes per second by eight writers, with it and without.

Each writer changes a project of its own over and over; the worker seals what they write meanwhile.
Without the audit the same change is made, with its event, and no row about it.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from unittest import mock

import django

from bench.harness import PAIRS, emit, moorage, spread
from tests.live.stack import ROOT, Stack, environment
from tests.postgres import cluster

WRITERS = 8
SECONDS = 3.0


def main() -> None:
    """Measure on SQLite and on a durable PostgreSQL; ``write`` is for the process that writes."""
    if sys.argv[1:] == ["write"]:
        _write()
        return
    lines = [
        "| Database | Changes/s with the audit | Without | Ratio, median (range) |",
        "|---|---|---|---|",
    ]
    with moorage() as stack:
        lines.append(_row("SQLite", stack))
    with cluster(is_durable=True) as url, moorage(MOORAGE_DATABASE_URL=url) as stack:
        lines.append(_row("PostgreSQL", stack))
    emit("P15", f"P15: the audit, {WRITERS} writers", lines)


def _row(name: str, stack: Stack) -> str:
    """Let a process of its own write in the stack's database."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.p15_audit", "write"],
        cwd=ROOT,
        env=environment(stack.home, stack.port, **stack.settings),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    pairs: list[tuple[float, float]] = json.loads(done.stdout)
    audited, plain = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    return f"| {name} | {audited:.0f} | {plain:.0f} | {spread([a / b for a, b in pairs])} |"


def _write() -> None:
    """Write with and without, in turn; print the rates of each pair."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    from accounts import audit, projects  # noqa: PLC0415 - only once Django is set up
    from accounts.models import User  # noqa: PLC0415
    from accounts.principals import SYSTEM_ACTOR  # noqa: PLC0415

    owner = User.objects.get(username="admin")
    made = [
        projects.create(name=f"writer-{n}", owner=owner, actor=SYSTEM_ACTOR) for n in range(WRITERS)
    ]

    def change(number: int, days: int) -> None:
        changes = projects.Changes(trash_days=days)
        projects.update(made[number], changes=changes, actor=SYSTEM_ACTOR)

    def plain() -> float:
        with mock.patch.object(audit, "record"):
            return _rate(change)

    _rate(change)
    plain()
    print(json.dumps([(_rate(change), plain()) for _pair in range(PAIRS)]))


def _rate(change: Callable[[int, int], None]) -> float:
    """Let every writer change for a while; return how many changes there were per second."""
    from django.db import connection  # noqa: PLC0415 - only once Django is set up

    counts = [0] * WRITERS
    end = time.monotonic() + SECONDS

    def write(number: int) -> None:
        for days in itertools.cycle((1, 2)):
            if time.monotonic() > end:
                break
            change(number, days)
            counts[number] += 1
        connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - started)


if __name__ == "__main__":
    main()
