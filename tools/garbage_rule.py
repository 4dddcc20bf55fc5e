"""One rule of collection, and how it is switched off."""

from dataclasses import dataclass

STATE_MACHINE = "tests/live/test_garbage_model.py"


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


def rule(name: str, path: str, old: str, new: str, *tests: str) -> Rule:
    """A rule that one change switches off; the state machine notices, or the tests named."""
    return Rule(name, (Change(path, old, new),), tests or (STATE_MACHINE,))
