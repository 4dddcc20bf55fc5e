"""What differs, and what can be done about it."""

from collections.abc import Callable
from dataclasses import dataclass

from registry_sync.models import Execution, ReportLine
from registry_sync.reports import Outcome, line, write
from registry_sync.runs import Run

# Lines written for one check; what is beyond is only counted.
MAX_LINES = 5_000

# Mends something. Returns what stands against it, or nothing.
Repair = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference; ``repair`` is missing where nothing can be done from here."""

    check: str
    subject: str
    problem: str
    repair: Repair | None = None
    size: int = 0


class Ledger:
    """Mends what is found, or only notes it, and keeps count."""

    def __init__(self, run: Run, *, is_repairing: bool) -> None:
        """``is_repairing``: False for a dry run."""
        self._run = run
        self._execution: Execution = run.task.execution
        self._is_repairing = is_repairing
        self._lines: list[ReportLine] = []
        self.found: dict[str, int] = {}
        self.repaired: dict[str, int] = {}
        # Another attempt finds again what was only found; what was mended stays told.
        ReportLine.objects.of(self._execution.pk).exclude(outcome=Outcome.REPAIRED).delete()

    def take(self, drift: Drift) -> None:
        """Mend one difference, or note it."""
        self._run.check()
        problem, is_mended = drift.problem, False
        if self._is_repairing and drift.repair is not None:
            against = drift.repair()
            is_mended = not against
            problem = f"{drift.problem}: {against}" if against else drift.problem
        counts = self.repaired if is_mended else self.found
        counts[drift.check] = counts.get(drift.check, 0) + 1
        outcome = Outcome.REPAIRED if is_mended else Outcome.FOUND
        self._note(outcome, drift.check, drift.subject, problem, drift.size, counts[drift.check])

    def leave(self, kind: str, subject: str, reason: str) -> None:
        """Tell of something that is none of ours, and is left alone."""
        self._note(Outcome.LEFT, kind, subject, reason, 0, 0)

    def flush(self) -> None:
        """Write the lines."""
        lines, self._lines = self._lines, []
        write(lines)

    def _note(
        self, outcome: Outcome, check: str, subject: str, reason: str, size: int, number: int
    ) -> None:
        self._run.log(f"{outcome.value} {check} {subject}: {reason}")
        if number <= MAX_LINES:
            made = line(self._execution, outcome, check, subject, reason=reason, size=size)
            self._lines.append(made)
        if len(self._lines) >= 500:
            self.flush()
