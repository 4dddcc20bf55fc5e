"""What a client of the mirror will meet, looked at step by step."""

from dataclasses import dataclass
from io import BytesIO

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.utils.translation import gettext as _

from accounts.models import Project
from registry_sync.gateway import mirror
from registry_sync.manifests import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

_ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST))


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that must hold, whether it does, and what to do about it."""

    words: str
    is_good: bool
    remedy: str = ""


def run(image: str, *, project: Project | None) -> list[Step]:
    """Look at the project, then for an image as docker names it, without fetching its layers."""
    name = settings.MOORAGE_MIRROR_PROJECT
    words = _("There is a project %(name)s.") % {"name": name}
    steps = [Step(words, project is not None, _("Make it, as a proxy project."))]
    if project is None:
        return steps
    steps += [
        Step(
            _("It is filled from another registry."),
            project.is_proxy,
            _(
                "It has only what was pushed into it. "
                "Name a proxy project in MOORAGE_MIRROR_PROJECT."
            ),
        ),
        Step(
            _("Everyone may pull from it."),
            project.is_public,
            _("docker sends no password to a mirror: make the project public."),
        ),
    ]
    if project.is_public:
        steps.append(_look(image))
    return steps


def _look(image: str) -> Step:
    """Ask the mirror for the image's manifest as a client does."""
    path, reference = _parts(image)
    request = WSGIRequest(
        {"REQUEST_METHOD": "HEAD", "HTTP_ACCEPT": _ACCEPT, "wsgi.input": BytesIO()}
    )
    answer = mirror.manifest(request, name=path, reference=reference)
    asked = {"image": f"{path}:{reference}", "status": answer.status_code}
    if answer.status_code == 200:
        return Step(_("%(image)s is found.") % asked, is_good=True)
    return Step(
        _("%(image)s is found.") % asked,
        is_good=False,
        remedy=_("The answer is %(status)s. The project's overview says how its registry answers.")
        % asked,
    )


def _parts(image: str) -> tuple[str, str]:
    """Return the repository and the tag or digest of what people write after ``docker pull``."""
    bare = image.removeprefix(f"{settings.MOORAGE_MIRROR_OF}/")
    path, at, reference = bare.partition("@")
    if not at:
        path, _colon, reference = bare.partition(":")
    if settings.MOORAGE_MIRROR_OF == "docker.io" and "/" not in path:
        path = f"library/{path}"
    return path, reference or "latest"
