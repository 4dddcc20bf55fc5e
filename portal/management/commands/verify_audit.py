"""``manage.py verify_audit``: whether the audit is what it was when it was sealed."""

import json
import sys
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit_chain
from accounts.audit_chain import Verification


class Command(BaseCommand):
    """Exits with 1 where an entry was changed, removed or slipped in."""

    help = "Checks the audit's chain and reports the first broken entry, gaps and the unsealed tail"

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the form of the report."""
        parser.add_argument("--json", action="store_true", help="report in JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify and report."""
        try:
            found = audit_chain.verify(settings.MOORAGE_KEYS)
        except OSError as error:
            raise CommandError(
                f"The key that sealed the audit is missing: {error.filename}."
            ) from error
        if options["json"]:
            report = {"intact": found.is_intact, **asdict(found)}
            self.stdout.write(json.dumps(report, default=str))
        else:
            self.stdout.write("\n".join(_lines(found)))
        if not found.is_intact:
            sys.exit(1)


def _lines(found: Verification) -> list[str]:
    lines = [f"{found.checked} sealed entries checked, up to number {found.sequence}."]
    if found.removed:
        lines.append(
            f"{found.removed} entries were removed on purpose, as entries of their own say."
        )
    if found.first_broken is not None:
        lines.append(f"BROKEN: entry {found.first_broken} is not what was sealed.")
    lines += [f"REMOVED: numbers {first} to {last}." for first, last in found.gaps]
    if not found.is_end_signed:
        lines.append("BROKEN: the end of the chain does not bear our signature.")
    if found.unsealed:
        lines.append(
            f"{found.unsealed} entries are not sealed yet, since {found.oldest_unsealed_at}."
        )
    lines.append("The audit is intact." if found.is_intact else "The audit was tampered with.")
    if found.seal:
        lines.append(f"Keep this elsewhere to compare later: {found.sequence} {found.seal}")
    return lines
