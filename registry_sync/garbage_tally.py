"""What a run found and removed: exact, also over attempts, for it is written with the rows."""

from collections.abc import Callable, Iterable
from typing import Any

from django.utils import timezone

from accounts import statements
from registry_sync.garbage_candidates import Candidate
from registry_sync.models import ReportLine
from registry_sync.runs import Run

# So many digests are listed with reason and repository; the counts are of all.
MAX_LINES = 10_000
_COLUMNS = ("execution_id", "outcome", "subject_kind", "subject", "reason", "size")
# In one statement.
_ROWS = 500


class Tally:
    """Counts of one run; what earlier attempts did is in its result."""

    def __init__(self, run: Run) -> None:
        """Go on from where an earlier attempt ended."""
        result = run.task.result
        self._run = run
        self._execution_id = run.task.execution_id
        self.digests: int = result.get("digests", 0)
        self.size: int = result.get("freed_bytes", 0)
        self.listed = 0
        self._projects: dict[str, int] = dict(result.get("by_project", {}))
        self._phases: list[dict[str, Any]] = []
        self._lines = ReportLine.objects.of(self._execution_id).count()

    # --- Phases -------------------------------------------------------------------------------

    def begin(self, phase: str) -> None:
        """Enter a phase."""
        self._close()
        self._phases.append({"name": phase, "began": timezone.now().isoformat()})
        self._run.result(phases=list(self._phases))

    def end(self) -> None:
        """Leave the last phase."""
        self._close()
        self._run.result(phases=list(self._phases))

    def _close(self) -> None:
        if self._phases and "ended" not in self._phases[-1]:
            self._phases[-1] |= {
                "ended": timezone.now().isoformat(),
                "done": self._run.task.done,
                "unit": self._run.task.unit,
            }

    # --- What happened ------------------------------------------------------------------------

    def found(self, page: list[Candidate]) -> None:
        """List what a dry run found."""
        self.listed += len(page)
        for candidate in page:
            self._add(self._projects, candidate)
            self._run.log(f"would remove {_words(candidate)}")
        self._write(ReportLine.Outcome.FOUND, page)
        self._run.result(by_project=self._projects)

    def take(self, batch: Iterable[Candidate]) -> Callable[[set[str]], None]:
        """Return what is to be called with the digests that are gone, in that transaction."""
        known = {candidate.digest: candidate for candidate in batch}
        began: list[tuple[int, int, dict[str, int], int]] = []

        def told(gone: set[str]) -> None:
            # May be called again where the database gave way: it begins from where it began.
            if not began:
                began.append((self.digests, self.size, dict(self._projects), self._lines))
            self.digests, self.size, projects, self._lines = began[0]
            self._projects = dict(projects)
            removed = [known[digest] for digest in sorted(gone) if digest in known]
            for candidate in removed:
                self._add(self._projects, candidate)
            self.digests += len(gone)
            self.size += sum(candidate.size for candidate in removed)
            self._write(ReportLine.Outcome.DONE, removed)
            self._run.hold()
            self._run.result(digests=self.digests, freed_bytes=self.size, by_project=self._projects)
            self._run.flush()

        return told

    def tell(self, batch: list[Candidate], gone: set[str]) -> None:
        """Log what became of each: removed, or needed after all, or in somebody's hands."""
        for candidate in batch:
            if candidate.digest in gone:
                self._run.log(f"removed {_words(candidate)}")
            else:
                self._run.log(f"skipped {_words(candidate)}: used again meanwhile")

    def uploads(self, count: int, size: int) -> None:
        """Add the uploads that were removed."""
        result = self._run.task.result
        self._run.result(
            uploads=result.get("uploads", 0) + count,
            upload_bytes=result.get("upload_bytes", 0) + size,
        )

    @staticmethod
    def _add(projects: dict[str, int], candidate: Candidate) -> None:
        projects[candidate.project] = projects.get(candidate.project, 0) + candidate.size

    def _write(self, outcome: ReportLine.Outcome, candidates: list[Candidate]) -> None:
        shown = candidates[: max(0, MAX_LINES - self._lines)]
        self._lines += len(shown)
        for start in range(0, len(shown), _ROWS):
            rows = [
                (
                    self._execution_id,
                    outcome.value,
                    "blob",
                    f"{candidate.repository}@{candidate.digest}",
                    candidate.reason.value,
                    candidate.size,
                )
                for candidate in shown[start : start + _ROWS]
            ]
            statements.run_once(statements.insert_values(ReportLine, _COLUMNS, rows))


def _words(candidate: Candidate) -> str:
    words = f"{candidate.digest}, {candidate.size} bytes, {candidate.reason.value}"
    return f"{words}, last in {candidate.repository}" if candidate.repository else words
