"""The job that compares the registry's storage with the tables, both ways.

It removes nothing but links that lead nowhere; what nobody needs is written down, and collection
takes it in its own time. Everything may be done twice.
"""

from typing import Any

from accounts.errors import BadRequest, Conflict
from accounts.models import Project
from registry_sync import garbage_epoch, recount
from registry_sync.bulk import actor_of
from registry_sync.configured_storage import storage as configured_storage
from registry_sync.failpoints import hit
from registry_sync.garbage_epoch import InterlockError
from registry_sync.reconciling import contents, links
from registry_sync.reconciling.drift import Drift, Ledger
from registry_sync.runs import Run
from registry_sync.storage.base import Storage

KIND = "reconcile"
QUOTA = "quota"


def parameters_of(wanted: dict[str, Any]) -> dict[str, bool]:
    """Check the parameters of a run or schedule. Raises ``BadRequest`` (with ``field``).

    ``dry_run``: only say. ``adopt``: join storage and database again after a restored backup.
    ``accept_loss``: leave manifests that no table knows to collection, instead of to an import.
    """
    found = {}
    for name in ("dry_run", "adopt", "accept_loss"):
        value = wanted.get(name, False)
        if not isinstance(value, bool):
            raise BadRequest(f"{name} must be true or false.", field=name)
        found[name] = value
    if found["dry_run"] and found["adopt"]:
        raise BadRequest("A dry run joins nothing.", field="adopt")
    return found


def run(run: Run) -> None:
    """Compare and mend. Raises ``Conflict`` where storage and database cannot be joined."""
    given = parameters_of(run.parameters)
    storage = configured_storage()
    is_joined = _is_joined(storage, run)
    is_repairing = not given["dry_run"] and (is_joined or given["adopt"])
    if not is_joined and not is_repairing:
        run.log("nothing is changed before they are joined: reconcile --adopt")
    ledger = Ledger(run, is_repairing=is_repairing)
    foreign = links.compare(run, storage, ledger, accepts_loss=given["accept_loss"])
    hit("reconcile.links")
    contents.compare(run, storage, ledger, foreign)
    hit("reconcile.contents")
    _quotas(run, ledger)
    ledger.flush()
    drift = sum(ledger.found.values())
    run.result(
        found=ledger.found,
        repaired=ledger.repaired,
        drift=drift,
        joined=is_joined,
        dry_run=not is_repairing,
    )
    run.log(f"{drift} differences are left, {sum(ledger.repaired.values())} were mended")
    if given["adopt"]:
        _adopt(run, storage, ledger, accepts_loss=given["accept_loss"])


def _is_joined(storage: Storage, run: Run) -> bool:
    """Whether storage and database are of the same epoch."""
    try:
        garbage_epoch.require(storage)
    except InterlockError as error:
        run.log(str(error))
        return False
    return True


def _adopt(run: Run, storage: Storage, ledger: Ledger, *, accepts_loss: bool) -> None:
    unknown = ledger.found.get(links.UNKNOWN_MANIFEST, 0)
    if unknown and not accepts_loss:
        raise Conflict(
            f"{unknown} manifests lie in the storage that no table knows: take them in by "
            "import_registry first, or say --accept-loss; nothing is joined"
        )
    garbage_epoch.adopt(storage, actor=actor_of(run.task.execution))
    run.log("storage and database are joined")
    run.result(joined=True)


def _quotas(run: Run, ledger: Ledger) -> None:
    """Compare what each project uses with what is counted of it."""
    projects = Project.objects.alive().order_by("pk")
    run.progress(done=0, total=projects.count(), unit="projects", message="quotas")
    for done, project in enumerate(projects.iterator(chunk_size=500), start=1):
        if problem := recount.problem(project):
            ledger.take(Drift(QUOTA, project.name, problem, _recounting(project)))
        run.progress(done=done)


def _recounting(project: Project) -> Any:
    def mend() -> str:
        recount.mend(project)
        return ""

    return mend
