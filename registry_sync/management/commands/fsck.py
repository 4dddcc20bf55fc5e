"""`manage.py fsck`: check tags, blobs, quotas and leases from the terminal."""

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.errors import DomainError
from registry_sync.configured_storage import is_in_reach
from registry_sync.fsck import Depth, findings, parameters_of


class Command(BaseCommand):
    """Prints each finding; ends with 1 where there is any."""

    help = "Check that every tag, blob, quota and lease is as it should be."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say how far it goes, and how it tells."""
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--deep", action="store_true", help="read every byte of the storage")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="with --deep: set damaged bytes aside, and store manifests again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check."""
        counts: dict[str, int] = {}

        def step(check: str) -> None:
            if check:
                counts[check] = counts.get(check, 0) + 1

        given = {"deep": options["deep"], "repair": options["repair"]}
        try:
            parameters_of(given)
            depth = Depth(is_deep=given["deep"], is_repairing=given["repair"])
            found = list(findings(step, depth))
        except DomainError as error:
            raise CommandError(f"moorage: {error}") from error
        left = [finding for finding in found if not finding.is_mended]
        if options["json"]:
            report = {
                "clean": not left,
                "storage": is_in_reach(),
                "checked": counts,
                "findings": [asdict(finding) for finding in found],
            }
            self.stdout.write(json.dumps(report, indent=2))
        else:
            for finding in found:
                self.stdout.write(str(finding))
            checked = ", ".join(f"{count} {check}" for check, count in counts.items())
            self.stdout.write(f"checked: {checked}; {len(found)} findings")
        if left:
            sys.exit(1)
