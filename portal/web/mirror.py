"""How to use this registry as a mirror (加速器) and as a registry, client by client."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from accounts.models import Project
from portal.web import mirror_check
from portal.web.access import page, principal_of
from portal.web.proxy_cache import may_create

_HUB = "https://registry-1.docker.io"
_EXAMPLE = "alpine:latest"


@dataclass(frozen=True, slots=True)
class Mirror:
    """What clients are to ask first, and for which registry's images."""

    url: str
    of: str
    # Whether it is the listener of its own, which answers from one project.
    is_listener: bool

    @property
    def host(self) -> str:
        """Its name and port."""
        return str(urlsplit(self.url).netloc)

    @property
    def is_plain(self) -> bool:
        """Whether it has no TLS."""
        return not self.url.startswith("https:")

    @property
    def upstream(self) -> str:
        """Where its images are, for who does not find them in the mirror."""
        return _HUB if self.of == "docker.io" else f"https://{self.of}"


@dataclass(frozen=True, slots=True)
class Client:
    """A program that pulls, the file that configures it, and what must be done then."""

    key: str
    name: str
    # ``{of}`` stands for the registry that is mirrored.
    file: str
    write: Callable[[Mirror], str]
    then: str = ""
    note: str | Promise = ""


def mirror() -> Mirror:
    """Return the listener of its own where it is on, else this registry itself."""
    if settings.MOORAGE_MIRROR_PORT:
        return Mirror(settings.MOORAGE_MIRROR_URL, settings.MOORAGE_MIRROR_OF, is_listener=True)
    return Mirror(settings.MOORAGE_EXTERNAL_URL, "docker.io", is_listener=False)


def _docker(one: Mirror) -> str:
    config: dict[str, object] = {"registry-mirrors": [one.url]}
    if one.is_plain:
        config["insecure-registries"] = [one.host]
    return json.dumps(config, indent=2)


def _containerd(one: Mirror) -> str:
    capabilities = '  capabilities = ["pull", "resolve"]'
    return "\n".join([f'server = "{one.upstream}"', "", f'[host."{one.url}"]', capabilities])


def _podman(one: Mirror) -> str:
    lines = ["[[registry]]", f'prefix = "{one.of}"', f'location = "{one.of}"', ""]
    lines += ["[[registry.mirror]]", f'location = "{one.host}"']
    if one.is_plain:
        lines.append("insecure = true")
        if not one.is_listener:
            lines += ["", "[[registry]]", f'location = "{one.host}"', "insecure = true"]
    return "\n".join(lines)


def _k3s(one: Mirror) -> str:
    lines = ["mirrors:", f"  {one.of}:", "    endpoint:", f'      - "{one.url}"']
    if one.is_plain and not one.is_listener:
        lines += [f'  "{one.host}":', "    endpoint:", f'      - "{one.url}"']
    return "\n".join(lines)


def _buildkit(one: Mirror) -> str:
    lines = [f'[registry."{one.of}"]', f'  mirrors = ["{one.host}"]']
    if one.is_plain:
        lines += ["", f'[registry."{one.host}"]', "  http = true"]
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
        "/etc/containerd/certs.d/{of}/hosts.toml",
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


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest) -> HttpResponse:
    """Show the configuration for one client; on POST, look for an image as a client would."""
    asked = request.GET.get("for", "")
    client = next((one for one in CLIENTS if one.key == asked), CLIENTS[0])
    one = mirror()
    image = request.POST.get("image", _EXAMPLE).strip()[:255]
    context = {
        "section": "mirror",
        "clients": CLIENTS,
        "client": client,
        "file": client.file.format(of=one.of),
        "config": client.write(one),
        "mirror": one,
        "is_docker_for_others": client.key == "docker" and one.of != "docker.io",
        "may_create": may_create(principal_of(request)),
    }
    if one.is_listener:
        seen = Project.objects.visible_to(principal_of(request))
        project = seen.filter(name=settings.MOORAGE_MIRROR_PROJECT).first()
        context |= {
            "project": project,
            "image": image,
            "probe": f"curl -sS -o /dev/null -w '%{{http_code}}\\n' {one.url}/v2/",
        }
        if request.method == "POST":
            context["steps"] = mirror_check.run(image, project=project)
    return render(request, "mirror/index.html", context)
