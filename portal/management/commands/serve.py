"""`manage.py serve`: one of Moorage's programs, in a container of its own."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from portal.stack import containers


class Command(BaseCommand):
    """Writes what the program reads and becomes the program."""

    help = "Run one program of Moorage in the foreground, as its container does."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the program's name."""
        parser.add_argument("program", choices=containers.NAMES)

    def handle(self, *args: Any, **options: Any) -> None:
        """Never return."""
        os.umask(0o077)
        containers.become(containers.program(options["program"], containers.home()))
