"""The commands pages show: each is complete and can be run as it stands."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest

from accounts.models import Project
from portal.web.shell import external_host

TOOLS = ("docker", "podman", "nerdctl")
_HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
EXAMPLE_IMAGE = "alpine:3.22"


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

    # Empty where everyone may pull.
    login: str
    pull: str
    # Without the project, for a client whose mirror this project is; empty where it is none's.
    by_mirror: str


def first_pull(tool: Tool, *, project: Project, username: str = "") -> FirstPull:
    """Return the commands for a project that another registry fills."""
    reference = f"{external_host()}/{project.name}/library/{EXAMPLE_IMAGE}"
    is_mirror = settings.MOORAGE_MIRROR_PORT and project.name == settings.MOORAGE_MIRROR_PROJECT
    return FirstPull(
        login="" if project.is_public or not username else tool.login(username),
        pull=tool.pull(reference),
        by_mirror=f"{tool.name} pull {EXAMPLE_IMAGE}" if is_mirror else "",
    )


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
