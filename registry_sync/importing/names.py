"""Which project and repository a plain registry's repository becomes; plain Python."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from accounts.scopes import is_repository_name


class NameRefusedError(ValueError):
    """A name that can be no repository's here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A repository here: its project's name, and its path below that."""

    project: str
    path: str

    def __str__(self) -> str:
        return f"{self.project}/{self.path}"


@dataclass(frozen=True, slots=True)
class Mapping:
    """How names are changed.

    ``rules`` are pairs (from, to): of whole names, or, ending in ``/``, of how names begin; the
    longest that fits counts. ``project`` takes names that have one component; none: they stay out.
    """

    rules: tuple[tuple[str, str], ...]
    project: str
    # The pattern of a project's name, and names no project may have.
    pattern: str
    reserved: frozenset[str]

    def target(self, name: str) -> Target:
        """Return what the name becomes. Raises ``NameRefusedError``."""
        renamed = self._renamed(name)
        if "/" not in renamed:
            if not self.project:
                raise NameRefusedError("it has no project component; name a project for such")
            renamed = f"{self.project}/{renamed}"
        if not is_repository_name(renamed):
            raise NameRefusedError(f"{renamed} cannot be a repository's name here; map it")
        project, _slash, path = renamed.partition("/")
        if not re.fullmatch(self.pattern, project):
            raise NameRefusedError(f"{project} cannot be a project's name here; map it")
        if project in self.reserved:
            raise NameRefusedError(f"{project} is a name the portal itself answers; map it")
        return Target(project, path)

    def _renamed(self, name: str) -> str:
        fitting = [
            (source, target)
            for source, target in self.rules
            if name == source or (source.endswith("/") and name.startswith(source))
        ]
        if not fitting:
            return name
        source, target = max(fitting, key=lambda rule: len(rule[0]))
        return target + name[len(source) :]


def rules_of(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read ``from=to`` texts. Raises ``NameRefusedError`` for one that says nothing clear."""
    rules = []
    for text in texts:
        source, equals, target = text.partition("=")
        if not (source and equals and target):
            raise NameRefusedError(f"{text!r} is not of the form FROM=TO")
        if source.endswith("/") != target.endswith("/"):
            raise NameRefusedError(f"{text!r}: either both ends are / or none")
        rules.append((source, target))
    return tuple(rules)
