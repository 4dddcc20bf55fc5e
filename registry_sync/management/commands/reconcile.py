"""`manage.py reconcile`: compare the registry's storage with the tables, and mend."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.errors import DomainError
from accounts.principals import SYSTEM_ACTOR
from registry_sync import dispatch, tasks
from registry_sync.management.following import follow
from registry_sync.models import ReportLine, State
from registry_sync.reconciling import engine

_SHOWN = 100


class Command(BaseCommand):
    """Orders it, waits, and says what was found; ends with 1 where differences are left."""

    help = (
        "Compare the registry's storage with the tables, both ways, and mend what can be mended. "
        "After a restored backup --adopt joins them again, so that collection may run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Say what may be changed, and who does the work."""
        parser.add_argument("--dry-run", action="store_true", help="only say what differs")
        parser.add_argument(
            "--adopt", action="store_true", help="join storage and database after a backup"
        )
        parser.add_argument(
            "--accept-loss",
            action="store_true",
            help="leave manifests that no table knows to collection",
        )
        parser.add_argument(
            "--here", action="store_true", help="do it in this process; no worker is needed"
        )

    def handle(self, **options: Any) -> None:
        """Order, wait, report."""
        names = ("dry_run", "adopt", "accept_loss")
        try:
            parameters = engine.parameters_of({name: options[name] for name in names})
            execution = dispatch.start(engine.KIND, actor=SYSTEM_ACTOR, parameters=parameters)
            task = execution.tasks.get()
            if options["here"]:
                tasks.run_here(task.pk)
        except DomainError as error:
            raise CommandError(f"moorage: {error}") from error
        follow(task, self.stdout.write)
        lines = ReportLine.objects.of(execution.pk)
        for line in lines[:_SHOWN]:
            self.stdout.write(f"{line.outcome} {line.subject_kind} {line.subject}: {line.reason}")
        if (more := lines.count() - _SHOWN) > 0:
            self.stdout.write(f"and {more} more; the page of execution {execution.pk} names them")
        drift, mended = task.result.get("drift", 0), task.result.get("repaired", {})
        self.stdout.write(f"{drift} differences are left, {sum(mended.values())} were mended")
        if task.state != State.SUCCEEDED:
            raise CommandError(f"moorage: {task.message or task.state}")
        if drift:
            raise CommandError("moorage: differences are left", returncode=1)
