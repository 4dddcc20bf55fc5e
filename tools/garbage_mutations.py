"""Switches the rules of garbage collection off, one at a time, and demands that a test goes red.

``python -m tools.garbage_mutations`` (``make garbage-mutations``, half an hour) works on copies of
the tree, ``--jobs`` of them at once. ``--all`` runs the state machine for each rule too; words
choose rules by their names.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from tools.garbage_rule import STATE_MACHINE, Rule
from tools.garbage_rules import RULES

ROOT = Path(__file__).resolve().parent.parent
_COPIED = (
    "accounts",
    "portal",
    "registry_sync",
    "tests",
    "templates",
    "locale",
    "deploy",
    "static",
)
# The machine tries so many times its usual sequences: a rule may show in few of them.
_SOAK = "2"
_MOST_SECONDS = 900


def copy_tree(target: Path) -> None:
    """Copy what the tests need."""
    for name in _COPIED:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "manage.py"):
        shutil.copy(ROOT / name, target / name)


def switched_off(rule: Rule, root: Path) -> dict[Path, str]:
    """Return the files without the rule. Raises ``ValueError`` where the code is another now."""
    found: dict[Path, str] = {}
    for change in rule.changes:
        path = root / change.path
        text = found.get(path) or path.read_text()
        if text.count(change.old) != 1:
            raise ValueError(f"{rule.name}: {change.path} does not hold once:\n{change.old}")
        found[path] = text.replace(change.old, change.new)
    return found


def is_caught(test: str, tree: Path, log: Path) -> bool:
    """Run a test on the copy; tell whether it went red for what it found."""
    # In their order: the short ones are first.
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "-p", "no:randomly"]
    if test.startswith("postgres "):
        command = [sys.executable, "-m", "tests.postgres", "pytest", *command[3:]]
    before = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        out.write(f"\n===== {test}\n".encode())
        out.flush()
        try:
            done = subprocess.run(
                [*command, test.removeprefix("postgres ")],
                cwd=tree,
                env={
                    **os.environ,
                    "MOORAGE_TEST_SOAK": _SOAK,
                    "MOORAGE_TEST_HASTY": "1",
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                stdout=out,
                stderr=out,
                timeout=_MOST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    # A test that could not even begin has found nothing.
    is_red = b"\nFAILED " in log.read_bytes()[before:]
    if done.returncode not in (0, 1) or is_red != (done.returncode == 1):
        raise RuntimeError(f"{test} did not run: see {log}")
    return is_red


def _tests_of(rule: Rule, *, is_all: bool) -> list[str]:
    return list(dict.fromkeys([STATE_MACHINE, *rule.tests] if is_all else rule.tests))


def is_noticed(rule: Rule, trees: SimpleQueue[Path], logs: Path, *, is_all: bool) -> bool:
    """Switch a rule off in a tree that is free; print what went red, tell whether its own did."""
    tree = trees.get()
    log = logs / f"garbage-rule-{RULES.index(rule)}.log"
    log.unlink(missing_ok=True)
    changed = switched_off(rule, tree)
    whole = {path: path.read_text() for path in changed}
    for path, text in changed.items():
        path.write_text(text)
    try:
        found: dict[str, bool] = {}
        for test in _tests_of(rule, is_all=is_all):
            if is_all or not any(found.values()):
                found[test] = is_caught(test, tree, log)
    finally:
        for path, text in whole.items():
            path.write_text(text)
        trees.put(tree)
    words = ", ".join(f"{'red' if red else 'GREEN'} {test}" for test, red in found.items())
    print(f"{rule.name}: {words}", flush=True)
    return any(found.get(test) for test in rule.tests)


def main() -> int:
    """Print a line for each rule; 1 where no test of its own went red without one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir()))
    wanted = parser.parse_args()
    rules = [r for r in RULES if not wanted.words or any(w in r.name for w in wanted.words)]
    trees: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(wanted.jobs) as pool:
        for number in range(wanted.jobs):
            tree = Path(folder) / str(number)
            copy_tree(tree)
            trees.put(tree)
        look = partial(is_noticed, trees=trees, logs=wanted.log, is_all=wanted.all)
        unnoticed = list(pool.map(look, rules)).count(False)
    print(f"{len(rules)} rules, {unnoticed} of which went unnoticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
