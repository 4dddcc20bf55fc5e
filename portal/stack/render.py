"""The rendered configurations of nginx and the registry."""

import json
import os
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from portal.stack.home import Home, write_private
from registry_sync.storage.bucket import Bucket

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
    # Where the programs listen, and the hosts on which they find each other: loopback, unless
    # each has a container of its own.
    inner_bind: str = "127.0.0.1"
    hosts: Mapping[str, str] = field(default_factory=dict)
    # Of the mirror's listener; 0 where there is none.
    mirror_port: int = 0

    def listen(self, port: int) -> str:
        """Return a public address as nginx writes it."""
        return f"[{self.bind}]:{port}" if ":" in self.bind else f"{self.bind}:{port}"

    @property
    def netloc(self) -> str:
        """The public name with its port, as clients write it before a repository."""
        return urlsplit(self.external_url).netloc

    def address(self, program: str) -> str:
        """Return where the other programs reach this one."""
        return f"{self.hosts.get(program, '127.0.0.1')}:{self.ports[program]}"


def render_nginx(home: Home, site: Site) -> None:
    """Write nginx's configuration and make its folders, in the home's run directory."""
    for directory in NGINX_DIRECTORIES:
        (home.run / "nginx" / directory).mkdir(parents=True, exist_ok=True)
    values = {
        "run": home.run,
        "listen": site.listen(site.port),
        "mirror": f'include "{home.run / "nginx-mirror.conf"}";' if site.mirror_port else "",
        "mirror_listen": site.listen(site.mirror_port),
        "scheme": urlsplit(site.external_url).scheme,
        "storage": home.storage,
        "static": site.static,
        # Workers that drop root's rights could not read what the registry, started by the same
        # user, writes.
        "user_directive": "user root;" if os.geteuid() == 0 else "",
        **{name: site.address(name) for name in site.ports},
    }
    for name in ("nginx-shared.conf", "nginx-mirror.conf", "nginx.conf"):
        _write(home.run, name, values)


def render_registry(
    directory: Path, site: Site, *, driver: str, certificates: Path, http_secret: str
) -> None:
    """Write the registry's configuration into a directory; ``driver``: see ``driver_section``."""
    values = {
        "listen": f"{site.inner_bind}:{site.ports['registry']}",
        "driver": driver,
        "http_secret": _quote(http_secret),
        "realm": _quote(f"{site.external_url}/service/token"),
        "service": _quote(site.service),
        "issuer": _quote(site.issuer),
        "certificates": _quote(certificates),
    }
    _write(directory, "registry.yml", values)


def driver_section(home: Home, bucket: Bucket | None) -> str:
    """Return the registry's storage section: a bucket, or the home's directory.

    JSON, which YAML reads alike.
    """
    if bucket is None:
        return f"filesystem: {json.dumps({'rootdirectory': str(home.storage)})}"
    section: dict[str, object] = {
        "bucket": bucket.name,
        "rootdirectory": f"/{bucket.prefix}",
        "region": bucket.region,
    }
    if bucket.access_key:
        section |= {"accesskey": bucket.access_key, "secretkey": bucket.secret_key}
    if bucket.endpoint:
        is_tls = bucket.endpoint.startswith("https:")
        section |= {"regionendpoint": bucket.endpoint, "secure": is_tls, "forcepathstyle": True}
    return f"s3: {json.dumps(section)}"


def _write(directory: Path, name: str, values: Mapping[str, object]) -> None:
    text = (TEMPLATES / f"{name}.template").read_text()
    # Private: the registry's holds a secret.
    write_private(directory / name, ConfigurationTemplate(text).substitute(values).rstrip("\n"))


def _quote(value: object) -> str:
    """Quote as JSON does, which YAML reads alike."""
    return json.dumps(str(value))
