"""``/_mirror/…``: the second listener, for clients that name no project.

docker's ``registry-mirrors``, containerd's ``hosts.toml`` and podman's ``registries.conf`` ask a
mirror for ``library/alpine`` as they would ask the registry it stands for. Here the one project is
put before the name, and taken away again from what the answers say.

Where everyone may pull from the project nobody is asked who he is, and no credentials are read:
docker would send those of Docker Hub. Where not, the token service beside it takes scopes without
the project too, because docker asks for its own and not for the challenge's.
"""

import dataclasses
import time

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.csrf import csrf_exempt

from accounts import access, scopes, views
from accounts.docker_tokens import TokenClaims
from accounts.principals import ANONYMOUS
from accounts.scopes import Grant, Scope, is_repository_name
from registry_sync.gateway import base, blobs, manifests, referrers, tags
from registry_sync.gateway.errors import View, name_unknown, protocol_view, respond
from registry_sync.gateway.standing import GIVEN_CLAIMS

# Which names of a project everyone may pull is the same for all: any will do to ask.
_ANY = "any"
# What everyone was granted last, by the project's name.
_granted: dict[str, Grant] = {}


@protocol_view("GET", "HEAD")
def version(request: HttpRequest) -> HttpResponse:
    """``/v2/``: 200 where everyone may pull, else 401 with the mirror's own token service."""
    if _everyones_claims(_inner(_ANY)) is not None:
        return respond(b"{}")
    return _outward(base.version(request))


@protocol_view("GET", "HEAD")
def manifest(request: HttpRequest, name: str, reference: str) -> HttpResponse:
    """A manifest of the project."""
    return _ask(manifests.manifest, request, name, reference=reference)


@protocol_view("GET", "HEAD")
def blob(request: HttpRequest, name: str, digest: str) -> HttpResponse:
    """A blob of the project."""
    return _ask(blobs.blob, request, name, digest=digest)


@protocol_view("GET", "HEAD")
def tag_list(request: HttpRequest, name: str) -> HttpResponse:
    """The tags; the body names the repository as the client does."""
    response = _ask(tags.tag_list, request, name)
    if response.status_code == 200:
        response.content = orjson.dumps(orjson.loads(response.content) | {"name": name})
        response.headers["Content-Length"] = str(len(response.content))
    return response


@protocol_view("GET", "HEAD")
def referrer_list(request: HttpRequest, name: str, digest: str) -> HttpResponse:
    """What is about a manifest."""
    return _ask(referrers.referrers, request, name, digest=digest)


@csrf_exempt  # As the token service itself: no cookie is read.
def token(request: HttpRequest) -> HttpResponse:
    """The token service, for scopes that name no project."""
    if request.method == "POST":
        request.POST = _with_project(request.POST)  # type: ignore[assignment]
    else:
        request.GET = _with_project(request.GET)  # type: ignore[assignment]
    return views.token(request)


def _ask(view: View, request: HttpRequest, name: str, **asked: str) -> HttpResponse:
    """Answer a reading request as the main listener would for the same name in the project."""
    if not _is_meant(request):
        raise name_unknown()
    inner = _inner(name)
    claims = _remembered_claims(inner)
    if claims is not None:
        request.META[GIVEN_CLAIMS] = claims
        response = view(request, name=inner, **asked)
        if response.status_code != 401:
            return _outward(response)
        # The project is another one by now, or not everyone's any more.
        _granted.clear()
        del request.META[GIVEN_CLAIMS]
    claims = _everyones_claims(inner)
    if claims is not None:
        request.META[GIVEN_CLAIMS] = claims
    return _outward(view(request, name=inner, **asked))


def _is_meant(request: HttpRequest) -> bool:
    """False where containerd says that it wants another registry's image of the same name."""
    return all(wanted == settings.MOORAGE_MIRROR_OF for wanted in request.GET.getlist("ns"))


def _inner(name: str) -> str:
    """Return the name in the project; raise ``NAME_UNKNOWN`` where there is no mirror."""
    if not settings.MOORAGE_MIRROR_PROJECT:
        raise name_unknown()
    return f"{settings.MOORAGE_MIRROR_PROJECT}/{name}"


def _everyones_claims(inner: str) -> TokenClaims | None:
    """Return what a token for nobody would say of the repository, or None where nobody may pull."""
    if not is_repository_name(inner):
        return None
    grants = access.granted(ANONYMOUS, [Scope("repository", inner, frozenset({"pull"}))])
    if not grants:
        return None
    _granted[settings.MOORAGE_MIRROR_PROJECT] = grants[0]
    return TokenClaims(ANONYMOUS, {inner: grants[0]}, time.time())


def _remembered_claims(inner: str) -> TokenClaims | None:
    """Return what was granted last, for this repository: each answer looks whether it holds still.

    As it does for a token, which may be minutes old.
    """
    granted = _granted.get(settings.MOORAGE_MIRROR_PROJECT)
    if granted is None or not is_repository_name(inner):
        return None
    key, path = granted.registry_name.partition("/")[0], inner.partition("/")[2]
    grant = dataclasses.replace(granted, name=inner, registry_name=f"{key}/{path}")
    return TokenClaims(ANONYMOUS, {inner: grant}, time.time())


def _outward(response: HttpResponse) -> HttpResponse:
    """Take the project out of the headers that name repositories or the token service."""
    headers, realm = response.headers, "/service/token"
    inner = f"/v2/{settings.MOORAGE_MIRROR_PROJECT}/"
    if "WWW-Authenticate" in headers:
        headers["WWW-Authenticate"] = (
            headers["WWW-Authenticate"]
            .replace(settings.MOORAGE_EXTERNAL_URL + realm, settings.MOORAGE_MIRROR_URL + realm)
            .replace(f'"repository:{settings.MOORAGE_MIRROR_PROJECT}/', '"repository:')
        )
    if headers.get("Link", "").startswith(f"<{inner}"):
        headers["Link"] = f"</v2/{headers['Link'].removeprefix(f'<{inner}')}"
    if headers.get("Location", "").startswith(inner):
        headers["Location"] = f"/v2/{headers['Location'].removeprefix(inner)}"
    return response


def _with_project(parameters: QueryDict) -> QueryDict:
    """Ask for pulling from the project's repositories; what else is asked for is left out."""
    if not settings.MOORAGE_MIRROR_PROJECT:
        return parameters
    inner = parameters.copy()
    wanted = scopes.parse(parameters.getlist("scope"))
    names = [each.name for each in wanted if each.type == "repository" and "pull" in each.actions]
    inner.setlist("scope", [f"repository:{_inner(name)}:pull" for name in names])
    return inner
