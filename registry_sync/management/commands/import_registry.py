"""`manage.py import_registry`: take over what a plain registry holds."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import credentials
from accounts.errors import Conflict, DomainError
from accounts.models import User
from accounts.principals import Actor
from registry_sync import dispatch, executions, reports, tasks
from registry_sync.importing import engine
from registry_sync.importing.engine import STORAGE, Terms
from registry_sync.management.following import follow
from registry_sync.models import Execution, ReportLine, State, Task

_SHOWN = 50


class Command(BaseCommand):
    """Orders the import, follows it, and says what came in and what was left."""

    help = (
        "Take over what a plain registry holds, from its storage in place or through its API. "
        "Safe to run again: what is here stays, what is missing comes in."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Say from where, under which names, and who does the work."""
        parser.add_argument(
            "--from",
            dest="source",
            type=_source,
            default=STORAGE,
            metavar="storage|URL",
            help="the registry's own storage (default), or another registry's address",
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="FROM=TO",
            help="another name for a repository, or, both ending in /, for all that begin so",
        )
        parser.add_argument(
            "--project", default="", help="takes the repositories that have no project component"
        )
        parser.add_argument("--user", default="", help="whose import it is (an administrator)")
        parser.add_argument("--source-username", default="", help="for the other registry")
        parser.add_argument(
            "--source-password-file", default="", help="read where the job runs, and stored nowhere"
        )
        parser.add_argument(
            "--here", action="store_true", help="do it in this process; no worker is needed"
        )

    def handle(self, **options: Any) -> None:
        """Order, follow, report."""
        terms = Terms(
            source=options["source"],
            rules=tuple(options["map"]),
            project=options["project"],
            username=options["source_username"],
            password_file=options["source_password_file"],
        )
        try:
            parameters = engine.parameters_of(terms)
            actor = _actor(options["user"])
            execution = _order(actor, parameters, is_here=options["here"])
            if options["here"]:
                tasks.run_here(execution.tasks.get().pk)
        except DomainError as error:
            raise CommandError(f"moorage: {error}") from error
        self.stdout.write(f"import: execution {execution.pk}")
        follow(execution.tasks.get(), self.stdout.write, _progress)
        self._report(execution)

    def _report(self, execution: Execution) -> None:
        execution.refresh_from_db()
        left = ReportLine.objects.of(execution.pk).filter(outcome=ReportLine.Outcome.LEFT)
        for line in left[:_SHOWN]:
            self.stdout.write(f"left out {line.subject_kind} {line.subject}: {line.reason}")
        if (more := left.count() - _SHOWN) > 0:
            self.stdout.write(f"and {more} more; the page of the execution names them all")
        for total in reports.totals(execution.pk):
            self.stdout.write(
                f"{total.outcome}: {total.count} {total.subject_kind}s, {total.size} bytes"
            )
        if execution.state != State.SUCCEEDED:
            task = execution.tasks.get()
            raise CommandError(f"moorage: the import {execution.state}: {task.message}")


def _progress(task: Task) -> str:
    return f"{task.done} of {task.total or '?'} repositories {task.message}".rstrip()


def _source(text: str) -> str:
    if text != STORAGE and "://" not in text:
        raise ArgumentTypeError("storage, or an address like https://registry.example.com")
    return text


def _order(actor: Actor, parameters: dict[str, Any], *, is_here: bool) -> Execution:
    """Make the execution; done here, one that died before goes on where no worker has taken it."""
    try:
        return dispatch.start(engine.KIND, actor=actor, parameters=parameters)
    except Conflict:
        if not is_here:
            raise
        # What was killed is free again once its lease has ended.
        executions.sweep(tasks.KINDS)
        waiting = Task.objects.filter(kind=engine.KIND, state=State.QUEUED).first()
        if waiting is None or waiting.execution.parameters != parameters:
            raise
        return waiting.execution


def _actor(name: str) -> Actor:
    users = User.objects.filter(is_administrator=True, is_active=True).order_by("pk")
    user = (users.filter(username=name) if name else users).first()
    if user is None:
        raise CommandError("moorage: there is no such administrator")
    return Actor(credentials.principal_of_user(user))
