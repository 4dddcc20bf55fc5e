"""The programs as containers run them: one each, reached by the names of their services."""

import os
import shutil
import sys
from pathlib import Path

from django.conf import settings

from portal.stack import programs, render
from portal.stack.home import Home
from portal.stack.programs import Program
from portal.stack.render import Site
from registry_sync.configured_storage import bucket_of_settings

# The services' names are their hosts' names; docker-compose.yml knows both and the ports.
_PORTS = {"registry": 5000, "gateway": 8000, "web": 8000}
_PUBLIC_PORT = 8080
MIRROR_PORT = 8081
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - a container's own network decides who reaches it
_FOLLOW = Path(__file__).resolve().parent / "follow.py"
NAMES = ("nginx", "gateway", "web", "worker", "beat")


def home() -> Home:
    """Return the home, of which each container has only the parts it needs."""
    return Home(settings.MOORAGE_HOME, settings.MOORAGE_STORAGE_ROOT)


def site() -> Site:
    """Return what the configurations need to know."""
    return Site(
        bind=_EVERYWHERE,
        port=_PUBLIC_PORT,
        external_url=settings.MOORAGE_EXTERNAL_URL,
        static=settings.STATIC_ROOT,
        service=settings.MOORAGE_TOKEN_SERVICE,
        issuer=settings.MOORAGE_TOKEN_ISSUER,
        ports=_PORTS,
        inner_bind=_EVERYWHERE,
        hosts={name: name for name in _PORTS},
        mirror_port=MIRROR_PORT if settings.MOORAGE_MIRROR_PORT else 0,
    )


def prepare_registry(here: Home, *, http_secret: str) -> None:
    """Write all that the registry reads, apart from the keys: those could sign tokens."""
    directory = here.root / "registry-config"
    certificates = directory / "ca.pem"
    shutil.copyfile(here.keys / "ca.pem", certificates)
    render.render_registry(
        directory,
        site(),
        driver=render.driver_section(here, bucket_of_settings()),
        certificates=certificates,
        http_secret=http_secret,
    )


def program(name: str, here: Home) -> Program:
    """Return one of the programs, with what it reads written."""
    # The home's other parts may be read-only; this one is the container's own.
    here.run.mkdir(exist_ok=True)
    if name == "nginx":
        render.render_nginx(here, site())
        follow = [sys.executable, "-I", "-S", str(_FOLLOW), ",".join(_PORTS)]
        return Program(name, [*follow, *programs.nginx(here, "nginx")], priority=0)
    if name == "worker":
        return Program(name, programs.worker(threads=4), priority=0)
    if name == "beat":
        return Program(name, programs.beat(), priority=0)
    if name == "gateway":
        environment = programs.gateway_environment(here)
    else:
        environment = {"DJANGO_SETTINGS_MODULE": "portal.settings"}
    return Program(name, programs.granian(site(), name), priority=0, environment=environment)


def become(program: Program) -> None:
    """Replace this process with the program; it gets the container's signals itself."""
    os.environ.update(program.environment)
    os.execvp(program.command[0], program.command)  # noqa: S606 - no shell is what is wanted
