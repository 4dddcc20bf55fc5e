"""`manage.py setup`: what must be done once before the containers' programs can start."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.crypto import ensure_keys
from accounts.users import FIRST_ADMINISTRATOR
from portal.stack import containers, home, preparation
from portal.stack.errors import CannotStart


class Command(BaseCommand):
    """Safe to run at every start: what is done already is left as it is."""

    help = "Prepare keys, database, first administrator and the registry's configuration."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, or say in one line what is in the way."""
        os.umask(0o077)
        here = containers.home()
        try:
            preparation.require_password()
            ensure_keys(here.keys)
            password = preparation.prepare_database(here)
        except CannotStart as error:
            self.stderr.write(f"moorage: {error}")
            sys.exit(1)
        containers.prepare_registry(here, http_secret=home.secret(here, "registry-http-secret"))
        if password is not None:
            self.stdout.write(f"The administrator {FIRST_ADMINISTRATOR} was made.")
        self.stdout.write(f"Ready to serve {settings.MOORAGE_EXTERNAL_URL}.")
