"""`manage.py up`: the whole of Moorage on one machine, in the foreground."""

import os
import signal
import sys
import time
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.crypto import ensure_keys
from accounts.users import FIRST_ADMINISTRATOR, FIRST_PROJECT
from portal.stack import checks, home, preparation, programs, render
from portal.stack.errors import CannotStart
from portal.stack.launch import end_leftovers
from portal.stack.supervision import Supervision
from registry_sync.configured_storage import bucket_of_settings

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Command(BaseCommand):
    """Prepares MOORAGE_HOME, starts every program, and stops them at Ctrl-C or SIGTERM."""

    help = "Run Moorage on this machine: nginx, registry, gateway, web and worker."
    # The checks import every page, and what they could find the tests have found.
    requires_system_checks = []
    is_leaving = False

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until stopped; a reason not to run is one line on the terminal."""
        for signum in _SIGNALS:
            signal.signal(signum, self._leave)
        os.umask(0o077)
        try:
            self._run()
        except CannotStart as error:
            self.stderr.write(f"moorage: {error}")
            sys.exit(1)

    def _run(self) -> None:
        found = checks.programs()
        here = home.Home(settings.MOORAGE_HOME, settings.MOORAGE_STORAGE_ROOT)
        home.prepare(here)
        lock = home.lock(here)
        for name in programs.NAMES:
            end_leftovers(here.run, name)
        checks.public_address(settings.MOORAGE_BIND, settings.MOORAGE_PORT)
        mirror_port = settings.MOORAGE_MIRROR_PORT
        if mirror_port:
            checks.public_address(settings.MOORAGE_BIND, mirror_port, setting="MOORAGE_MIRROR_PORT")
        home.secret(here, "secret-key")
        try:
            ensure_keys(here.keys)
        except (OSError, ValueError, TypeError) as error:
            raise CannotStart(f"the keys in {here.keys} cannot be used: {error}") from error
        password = preparation.prepare_database(here)
        preparation.collect_static(here)
        site = render.Site(
            bind=settings.MOORAGE_BIND,
            port=settings.MOORAGE_PORT,
            external_url=settings.MOORAGE_EXTERNAL_URL,
            static=settings.STATIC_ROOT,
            service=settings.MOORAGE_TOKEN_SERVICE,
            issuer=settings.MOORAGE_TOKEN_ISSUER,
            ports=home.ports(here, taken={settings.MOORAGE_PORT, mirror_port}),
            mirror_port=mirror_port,
        )
        render.render_nginx(here, site)
        render.render_registry(
            here.run,
            site,
            driver=render.driver_section(here, bucket_of_settings()),
            certificates=here.keys / "ca.pem",
            http_secret=home.secret(here, "registry-http-secret"),
        )
        configuration = programs.write_configuration(here, programs.programs(here, site, found))
        supervision = Supervision(here, site, configuration=configuration, lock=lock)
        try:
            supervision.wait_until_ready()
            self.stdout.write(_welcome(here, site, password))
            self.stdout.flush()
            while True:
                supervision.check()
                time.sleep(0.5)
        finally:
            self.is_leaving = True
            supervision.stop()

    def _leave(self, signum: int, frame: FrameType | None) -> None:
        # Once is enough: a second Ctrl-C must not end the stopping and leave half of it running.
        if not self.is_leaving:
            self.is_leaving = True
            sys.exit(0)


def _mirror(site: render.Site) -> list[str]:
    if not site.mirror_port:
        return []
    mirror, of = settings.MOORAGE_MIRROR_URL, settings.MOORAGE_MIRROR_OF
    return [f"  Mirror         {mirror}  ({of}, from project {settings.MOORAGE_MIRROR_PROJECT})"]


def _welcome(here: home.Home, site: render.Site, password: str | None) -> str:
    """Say where it is, who may sign in, and how an image gets there and back."""
    image = f"{site.netloc}/{FIRST_PROJECT}/hello:1"
    kept = here.admin_password.exists()
    if password is not None and kept:
        line = f"{password}  (kept in {here.admin_password})"
    elif password is not None:
        line = "as set by MOORAGE_ADMIN_PASSWORD"
    elif kept:
        line = f"the first one is kept in {here.admin_password}"
    else:
        line = "as set before"
    return "\n".join(
        [
            "",
            "Moorage is ready.",
            "",
            f"  Address        {site.external_url}",
            f"  Administrator  {FIRST_ADMINISTRATOR}",
            f"  Password       {line}",
            *_mirror(site),
            "",
            f"  docker login {site.netloc} -u {FIRST_ADMINISTRATOR}",
            f"  docker tag hello:1 {image}",
            f"  docker push {image}",
            f"  docker pull {image}",
            "",
            f"Logs are in {here.logs}. Ctrl-C stops it.",
            "",
        ]
    )
