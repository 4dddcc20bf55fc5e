"""The commands pages show: each is complete and can be run as it stands."""

import re
from dataclasses import dataclass
from itertools import takewhile

from django.conf import settings
from django.http import HttpRequest

from accounts.models import Project
from portal.web.shell import external_host
from registry_sync.models import ProxyCache
from registry_sync.proxy_cache import projects as proxies

TOOLS = ("docker", "podman", "nerdctl")
_HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
EXAMPLE_IMAGE = "alpine:3.22"
_HUB_EXAMPLE = f"library/{EXAMPLE_IMAGE}"
_ANY_IMAGE = "REPOSITORY:TAG"
# A part of a repository pattern that stands for itself alone.
_PLAIN = re.compile(r"[a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Tool:
    """A container tool, and what it must be told when the registry has no TLS."""

    name: str

    def command(self, verb: str, *arguments: str) -> str:
        """Return one command that talks to the registry."""
        flags: list[str] = []
        if not settings.MOORAGE_IS_HTTPS and self.name == "podman":
            flags = ["--tls-verify=false"]
        elif not settings.MOORAGE_IS_HTTPS and self.name == "nerdctl":
            flags = ["--insecure-registry"]
        if self.name == "nerdctl":
            # nerdctl takes the flag before the verb.
            return " ".join([self.name, *flags, verb, *arguments])
        return " ".join([self.name, verb, *flags, *arguments])

    def login(self, username: str) -> str:
        """Sign in."""
        return self.command("login", "-u", username, external_host())

    def tag(self, reference: str) -> str:
        """Name a local image; no registry is involved."""
        return f"{self.name} tag {EXAMPLE_IMAGE} {reference}"

    def push(self, reference: str) -> str:
        """Push it."""
        return self.command("push", reference)

    def pull(self, reference: str) -> str:
        """Pull it."""
        return self.command("pull", reference)


def tool_of(request: HttpRequest) -> Tool:
    """Return the tool chosen by ``?tool=``, else the one that this person prefers."""
    preferred = getattr(request.user, "client", "")
    asked = request.GET.get("tool", preferred)
    return Tool(asked if asked in TOOLS else TOOLS[0])


@dataclass(frozen=True, slots=True)
class FirstPush:
    """The three commands that put a first image into a project."""

    login: str
    tag: str
    push: str


def first_push(tool: Tool, *, username: str, project: str) -> FirstPush:
    """Return the commands for this person and project."""
    reference = f"{external_host()}/{project}/{EXAMPLE_IMAGE}"
    return FirstPush(tool.login(username), tool.tag(reference), tool.push(reference))


@dataclass(frozen=True, slots=True)
class FirstPull:
    """The commands that have an image fetched through a proxy project."""

    # Whether the image is one to be named first: nobody here knows what that registry has.
    is_pattern: bool

    # Empty where everyone may pull.
    login: str
    pull: str
    # Without the project, for a client whose mirror this project is; empty where it is none's.
    by_mirror: str


def first_pull(
    tool: Tool, *, project: Project, cache: ProxyCache | None, username: str = ""
) -> FirstPull:
    """Return the commands for a project that another registry fills."""
    example = _example_of(cache)
    is_mirror = settings.MOORAGE_MIRROR_PORT and project.name == settings.MOORAGE_MIRROR_PROJECT
    return FirstPull(
        is_pattern=example != _HUB_EXAMPLE,
        login="" if project.is_public or not username else tool.login(username),
        pull=tool.pull(f"{external_host()}/{project.name}/{example}"),
        by_mirror=f"{tool.name} pull {example.removeprefix('library/')}" if is_mirror else "",
    )


def _example_of(cache: ProxyCache | None) -> str:
    """Return an image that the registry surely has, else what one is to be put together from."""
    if cache is None:
        return _ANY_IMAGE
    image = _HUB_EXAMPLE.partition(":")[0]
    if cache.remote.kind == "docker-hub" and proxies.admits(cache.pattern, image):
        return _HUB_EXAMPLE
    whole = list(takewhile(_PLAIN.fullmatch, cache.pattern.split("/")))
    if cache.pattern and len(whole) == cache.pattern.count("/") + 1:
        return f"{cache.pattern}:{_ANY_IMAGE.partition(':')[2]}"
    return "/".join([*whole, _ANY_IMAGE])


def pull_by_tag(tool: Tool, *, name: str, tag: str, kind: str, artifact_type: str) -> str:
    """Return the command that pulls what a tag points to."""
    if artifact_type == _HELM_CONFIG:
        flag = "" if settings.MOORAGE_IS_HTTPS else "--plain-http "
        return f"helm pull {flag}oci://{external_host()}/{name} --version {tag}"
    reference = f"{external_host()}/{name}:{tag}"
    return _oras(reference) if kind == "other" else tool.pull(reference)


def pull_by_digest(tool: Tool, *, name: str, digest: str, kind: str) -> str:
    """Return the command that pulls exactly these bytes."""
    reference = f"{external_host()}/{name}@{digest}"
    return _oras(reference) if kind == "other" else tool.pull(reference)


def _oras(reference: str) -> str:
    flag = "" if settings.MOORAGE_IS_HTTPS else "--plain-http "
    return f"oras pull {flag}{reference}"
