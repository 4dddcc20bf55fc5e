"""The job that takes over a plain registry: repository by repository, and safe to run again.

What is here already stays as it is; what cannot come in is left, and the report says why.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounts import credentials, projects
from accounts.errors import BadRequest, Denied, DomainError, NotFound, Unavailable
from accounts.models import Project, User
from accounts.models.projects import PROJECT_NAME_PATTERN, RESERVED_PROJECT_NAMES
from accounts.principals import Actor
from registry_sync import catalog, reports, transactions
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.remote import RemoteRegistry
from registry_sync.configured_storage import storage as configured_storage
from registry_sync.failpoints import hit
from registry_sync.importing import rows
from registry_sync.importing.carry import carry
from registry_sync.importing.drafts import Left, read
from registry_sync.importing.items import Item, Written
from registry_sync.importing.names import Mapping, NameRefusedError, Target, rules_of
from registry_sync.importing.rows import Pins
from registry_sync.importing.settling import Waiting, settle
from registry_sync.importing.sources import RegistrySource, Source, StorageSource
from registry_sync.models import Execution, ReportLine, Repository
from registry_sync.reports import Outcome
from registry_sync.runs import Run

KIND = "import"
STORAGE = "storage"
# Images in one transaction, for which pushes into the project wait.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Terms:
    """What is to be taken over, and how."""

    # ``storage``, or a registry's address.
    source: str
    rules: tuple[str, ...] = ()
    project: str = ""
    username: str = ""
    # Of a file on the machine where the job runs: a password stands in no table.
    password_file: str = ""


def parameters_of(terms: Terms) -> dict[str, Any]:
    """Check what is asked for, and write it down for the job. Raises ``BadRequest``."""
    mapping = _mapping(terms.rules, terms.project)
    if terms.project:
        try:
            mapping.target(f"{terms.project}/x")
        except NameRefusedError as error:
            raise BadRequest(str(error), field="project") from error
    if terms.source != STORAGE:
        try:
            RemoteRegistry(terms.source)
        except ValueError as error:
            raise BadRequest(str(error), field="source") from error
    return {
        "source": terms.source,
        "rules": list(terms.rules),
        "project": terms.project,
        "username": terms.username,
        "password_file": terms.password_file,
    }


def _mapping(rules: tuple[str, ...], project: str) -> Mapping:
    try:
        return Mapping(rules_of(rules), project, PROJECT_NAME_PATTERN, RESERVED_PROJECT_NAMES)
    except NameRefusedError as error:
        raise BadRequest(str(error), field="map") from error


def run(run: Run) -> None:
    """Take over everything. Raises ``Unavailable`` where the source does not answer."""
    given = run.parameters
    source = _source(given)
    mapping = _mapping(tuple(given["rules"]), given["project"])
    try:
        names = sorted(source.repositories())
        work = _Import(run, source, mapping)
        run.progress(done=0, total=len(names), unit="repositories")
        for number, name in enumerate(names, start=1):
            work.take(name)
            run.progress(done=number, message=name)
        work.flush()
    except RegistryUnavailableError as error:
        raise (DomainError if error.is_lasting else Unavailable)(str(error)) from error
    except RegistryRejectedError as error:
        raise Denied(f"the source refused: {error}") from error
    _conclude(run)


def _source(given: dict[str, Any]) -> Source:
    if given["source"] == STORAGE:
        return StorageSource(configured_storage())
    password = ""
    if given["password_file"]:
        try:
            password = Path(given["password_file"]).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NotFound("the file with the password cannot be read") from error
    return RegistrySource(
        RemoteRegistry(given["source"], username=given["username"], password=password)
    )


def _conclude(run: Run) -> None:
    """Note what all attempts at this run came to."""
    totals = {
        (total.outcome, total.subject_kind): total
        for total in reports.totals(run.task.execution_id)
    }

    def count(outcome: Outcome, kind: str) -> int:
        total = totals.get((outcome.value, kind))
        return total.count if total else 0

    size = sum(total.size for total in totals.values() if total.outcome == Outcome.DONE)
    facts = {
        "images": count(Outcome.DONE, "image"),
        "tags": count(Outcome.DONE, "tag"),
        "bytes": size,
        "unchanged": count(Outcome.UNCHANGED, "image"),
        "left": sum(t.count for t in totals.values() if t.outcome == Outcome.LEFT),
    }
    run.result(**facts)
    run.log(", ".join(f"{name} {value}" for name, value in facts.items()))


class _Import:
    """One attempt: where things go, and what waits to be written."""

    def __init__(self, run: Run, source: Source, mapping: Mapping) -> None:
        """``run``: the job's; what it left out before is found again, and not told twice."""
        self._run = run
        self._source = source
        self._mapping = mapping
        self._execution = run.task.execution
        self._actor = _actor_of(self._execution)
        self._projects: dict[str, Project] = {}
        self._waiting: list[Waiting] = []
        ReportLine.objects.of(self._execution.pk).exclude(outcome=Outcome.DONE).delete()

    def take(self, name: str) -> None:
        """Take over one repository; rows may wait for the next batch."""
        try:
            repository = self._repository(self._mapping.target(name))
        except (NameRefusedError, DomainError) as error:
            self._report([Left(name, str(error))], "repository")
            return
        is_in_place = isinstance(self._source, StorageSource) and name == repository.registry_name
        for found in read(self._source, name):
            self._run.check()
            if isinstance(found, Left):
                self._report([found])
            elif is_in_place:
                self._add(Waiting(name, repository, found))
            else:
                self._carry(Waiting(name, repository, found))

    def flush(self) -> None:
        """Write what waits: rows only, for the bytes are where they are to be."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        hit("import.batch")
        settled = settle(self._source, waiting)
        self._report(settled.left)
        self._write(settled.items, settled.pins)

    def _add(self, entry: Waiting) -> None:
        is_other = bool(self._waiting) and (
            self._waiting[0].repository.project_id != entry.repository.project_id
        )
        if is_other or len(self._waiting) >= BATCH:
            self.flush()
        self._waiting.append(entry)

    def _write(self, items: list[Item], pins: Pins) -> None:
        """Write items; where they do not all fit into the project, those that do."""
        if not items:
            return
        project_id = items[0].repository.project_id
        origin = str(self._run.parameters["source"])

        def work() -> None:
            self._run.hold()
            written = rows.commit(project_id, items, pins, actor=self._actor, origin=origin)
            reports.write(self._lines(written))

        try:
            transactions.run(work)
        except Denied as error:
            if len(items) == 1:
                subject = f"{items[0].repository.name}@{items[0].draft.digest}"
                self._report([Left(subject, str(error))])
                return
            middle = len(items) // 2
            for half in (items[:middle], items[middle:]):
                # Rows that the other half made are to be held now.
                self._write(half, rows.announce(rows.sizes_of(half)))

    def _carry(self, entry: Waiting) -> None:
        """Bring one manifest in with its blobs."""
        hit("import.image")
        try:
            written = carry(self._source, entry, actor=self._actor)
        except (Denied, NotFound) as error:
            self._report([Left(entry.subject, str(error))])
            return
        reports.write(self._lines(written))

    def _repository(self, target: Target) -> Repository:
        """Return where a repository goes, made with its project where it is missing."""
        project = self._projects.get(target.project)
        if project is None:
            project = Project.objects.alive().filter(name=target.project).first()
            if project is None:
                project = projects.create(name=target.project, actor=self._actor)
                self._run.log(f"made the project {project.name}")
            self._projects[target.project] = project
        repository = catalog.open_repository(project.pk, target.path)
        repository.project = project
        return repository

    def _report(self, left: list[Left], kind: str = "image") -> None:
        lines = [
            reports.line(self._execution, Outcome.LEFT, kind, gone.subject, reason=gone.reason)
            for gone in left
        ]
        for line in lines:
            self._run.log(f"left out {line.subject}: {line.reason}")
        reports.write(lines)

    def _lines(self, written: Written) -> list[ReportLine]:
        """One line for each repository that got something; each thing that was left."""
        line, execution = reports.line, self._execution
        by_name: dict[str, list[Item]] = {}
        for item in written.images:
            by_name.setdefault(item.repository.name, []).append(item)
        lines = [
            line(execution, Outcome.DONE, "image", name, count=len(items), size=_bytes(items))
            for name, items in by_name.items()
        ]
        if written.tags:
            lines.append(line(execution, Outcome.DONE, "tag", "", count=written.tags))
        if written.unchanged:
            lines.append(line(execution, Outcome.UNCHANGED, "image", "", count=written.unchanged))
        lines += [
            line(execution, Outcome.LEFT, "image", gone.subject, reason=gone.reason)
            for gone in written.left
        ]
        return lines


def _bytes(items: list[Item]) -> int:
    """What the items of one repository come to, each digest once."""
    sizes: dict[str, int] = {}
    for item in items:
        sizes |= item.sizes
        sizes[item.draft.digest] = len(item.draft.manifest.content)
    return sum(sizes.values())


def _actor_of(execution: Execution) -> Actor:
    """Return who ordered the run, at work now. Raises ``NotFound`` where that is nobody."""
    user = User.objects.filter(pk=execution.actor_id or 0, is_active=True).first()
    if user is None:
        raise NotFound("who ordered the import is gone")
    return Actor(credentials.principal_of_user(user))
