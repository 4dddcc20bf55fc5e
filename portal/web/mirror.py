"""How to use this registry as a mirror (加速器) and as a registry, client by client."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from portal.web.access import page
from portal.web.shell import external_host

_HUB = "https://registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Client:
    """A program that pulls, the file that configures it, and what must be done then."""

    key: str
    name: str
    file: str
    write: Callable[[], str]
    then: str = ""
    note: str | Promise = ""


def _url() -> str:
    return f"{'https' if settings.MOORAGE_IS_HTTPS else 'http'}://{external_host()}"


def _docker() -> str:
    config: dict[str, object] = {"registry-mirrors": [_url()]}
    if not settings.MOORAGE_IS_HTTPS:
        config["insecure-registries"] = [external_host()]
    return json.dumps(config, indent=2)


def _containerd() -> str:
    lines = [f'server = "{_HUB}"', "", f'[host."{_url()}"]', '  capabilities = ["pull", "resolve"]']
    return "\n".join(lines)


def _podman() -> str:
    lines = [
        "[[registry]]",
        'prefix = "docker.io"',
        'location = "docker.io"',
        "",
        "[[registry.mirror]]",
        f'location = "{external_host()}"',
    ]
    if not settings.MOORAGE_IS_HTTPS:
        lines += ["insecure = true", "", "[[registry]]", f'location = "{external_host()}"']
        lines.append("insecure = true")
    return "\n".join(lines)


def _k3s() -> str:
    lines = ["mirrors:", "  docker.io:", "    endpoint:", f'      - "{_url()}"']
    if not settings.MOORAGE_IS_HTTPS:
        lines += [f'  "{external_host()}":', "    endpoint:", f'      - "{_url()}"']
    return "\n".join(lines)


def _buildkit() -> str:
    lines = ['[registry."docker.io"]', f'  mirrors = ["{external_host()}"]']
    if not settings.MOORAGE_IS_HTTPS:
        lines += ["", f'[registry."{external_host()}"]', "  http = true"]
    return "\n".join(lines)


CLIENTS = (
    Client(
        "docker",
        "docker",
        "/etc/docker/daemon.json",
        _docker,
        "sudo systemctl restart docker",
        _("Add the members to what stands in the file already."),
    ),
    Client(
        "containerd",
        "containerd",
        "/etc/containerd/certs.d/docker.io/hosts.toml",
        _containerd,
        "",
        _("In config.toml, config_path must name /etc/containerd/certs.d; no restart is needed."),
    ),
    Client("podman", "podman", "/etc/containers/registries.conf.d/moorage.conf", _podman),
    Client("k3s", "k3s", "/etc/rancher/k3s/registries.yaml", _k3s, "sudo systemctl restart k3s"),
    Client(
        "buildkit",
        "BuildKit",
        "/etc/buildkit/buildkitd.toml",
        _buildkit,
        "docker buildx create --use --config /etc/buildkit/buildkitd.toml",
    ),
)


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """Show the configuration for one client."""
    asked = request.GET.get("for", "")
    client = next((one for one in CLIENTS if one.key == asked), CLIENTS[0])
    context = {
        "section": "mirror",
        "clients": CLIENTS,
        "client": client,
        "config": client.write(),
        "is_https": settings.MOORAGE_IS_HTTPS,
    }
    return render(request, "mirror/index.html", context)
