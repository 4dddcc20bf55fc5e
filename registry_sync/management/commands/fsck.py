"""`manage.py fsck`: check tags, blobs, quotas and leases from the terminal."""

import json
import sys
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from registry_sync.fsck import findings


class Command(BaseCommand):
    """Prints each finding; ends with 1 where there is any."""

    help = "Check that every tag, blob, quota and lease is as it should be; changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--json``."""
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check."""
        counts: dict[str, int] = {}

        def step(check: str) -> None:
            counts[check] = counts.get(check, 0) + 1

        storage = settings.MOORAGE_STORAGE_ROOT
        found = list(findings(storage, step))
        if options["json"]:
            report = {
                "clean": not found,
                "storage": storage.is_dir(),
                "checked": counts,
                "findings": [asdict(finding) for finding in found],
            }
            self.stdout.write(json.dumps(report, indent=2))
        else:
            for finding in found:
                self.stdout.write(str(finding))
            checked = ", ".join(f"{count} {check}" for check, count in counts.items())
            self.stdout.write(f"checked: {checked}; {len(found)} findings")
        if found:
            sys.exit(1)
