"""The rendered configurations of nginx and the registry."""

import json
import os
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from portal.stack.home import Home, write_private

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "deploy"
NGINX_DIRECTORIES = ("body", "proxy", "fastcgi", "uwsgi", "scgi")


class ConfigurationTemplate(string.Template):
    """A template whose placeholders are ``@@{name}``: a dollar is nginx's own."""

    delimiter = "@@"


@dataclass(frozen=True, slots=True)
class Site:
    """What the configurations need to know besides the home."""

    bind: str
    port: int
    external_url: str
    static: Path
    service: str
    issuer: str
    ports: dict[str, int]

    @property
    def listen(self) -> str:
        """The public address as nginx writes it."""
        return f"[{self.bind}]:{self.port}" if ":" in self.bind else f"{self.bind}:{self.port}"

    @property
    def netloc(self) -> str:
        """The public name with its port, as clients write it before a repository."""
        return urlsplit(self.external_url).netloc


def render(home: Home, site: Site, *, http_secret: str) -> None:
    """Write both configurations into the home's run directory."""
    for directory in NGINX_DIRECTORIES:
        (home.run / "nginx" / directory).mkdir(parents=True, exist_ok=True)
    nginx = {
        "run": home.run,
        "listen": site.listen,
        "scheme": urlsplit(site.external_url).scheme,
        "storage": home.storage,
        "static": site.static,
        # Workers that drop root's rights could not read what the registry, started by the same
        # user, writes.
        "user_directive": "user root;" if os.geteuid() == 0 else "",
        **{f"{name}_port": port for name, port in site.ports.items()},
    }
    registry = {
        "registry_port": site.ports["registry"],
        "storage": _quote(home.storage),
        "http_secret": _quote(http_secret),
        "realm": _quote(f"{site.external_url}/service/token"),
        "service": _quote(site.service),
        "issuer": _quote(site.issuer),
        "certificates": _quote(home.keys / "ca.pem"),
    }
    _write(home, "nginx.conf", nginx)
    _write(home, "registry.yml", registry)


def _write(home: Home, name: str, values: Mapping[str, object]) -> None:
    text = (TEMPLATES / f"{name}.template").read_text()
    # Private: the registry's holds a secret.
    write_private(home.run / name, ConfigurationTemplate(text).substitute(values).rstrip("\n"))


def _quote(value: object) -> str:
    """Quote as JSON does, which YAML reads alike."""
    return json.dumps(str(value))
