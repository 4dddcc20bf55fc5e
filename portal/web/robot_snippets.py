"""How to use a robot, place by place; a snippet names the secret and never contains it."""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from portal.web.shell import external_host

# The name under which the snippets look for the secret.
VARIABLE = "MOORAGE_TOKEN"
_IN_SHELL = gettext_lazy("Put the secret into the variable MOORAGE_TOKEN of your shell first.")


@dataclass(frozen=True, slots=True)
class Access:
    """What a snippet needs to know of a robot."""

    login: str
    project: str
    may_push: bool

    @property
    def image(self) -> str:
        """An image of its project, without a tag."""
        return f"{external_host()}/{self.project}/app"

    @property
    def docker_login(self) -> str:
        """Sign in, the same in every shell; single quotes keep a dollar sign as it is."""
        return (
            f'echo "${VARIABLE}" | docker login {external_host()} '
            f"-u '{self.login}' --password-stdin"
        )


def _github(access: Access) -> str:
    lines = [
        "- uses: docker/login-action@v3",
        "  with:",
        f"    registry: {external_host()}",
        f"    username: {access.login}",
        f"    password: ${{{{ secrets.{VARIABLE} }}}}",
    ]
    if access.may_push:
        lines += [
            "- uses: docker/build-push-action@v6",
            "  with:",
            "    push: true",
            f"    tags: {access.image}:${{{{ github.ref_name }}}}",
        ]
    else:
        lines.append(f"- run: docker pull {access.image}:latest")
    return "\n".join(lines)


def _gitlab(access: Access) -> str:
    lines = [
        "image:",
        "  image: docker:28",
        "  services: [docker:28-dind]",
        "  script:",
        f"    - {access.docker_login}",
    ]
    if access.may_push:
        lines += [
            f"    - docker build -t {access.image}:$CI_COMMIT_REF_SLUG .",
            f"    - docker push {access.image}:$CI_COMMIT_REF_SLUG",
        ]
    else:
        lines.append(f"    - docker pull {access.image}:latest")
    return "\n".join(lines)


def _kubernetes(access: Access) -> str:
    return (
        "kubectl create secret docker-registry moorage \\\n"
        f"  --docker-server={external_host()} \\\n"
        f"  --docker-username='{access.login}' \\\n"
        f'  --docker-password="${VARIABLE}"\n'
        "kubectl patch serviceaccount default \\\n"
        '  -p \'{"imagePullSecrets": [{"name": "moorage"}]}\''
    )


def _docker(access: Access) -> str:
    verb = "push" if access.may_push else "pull"
    return f"{access.docker_login}\ndocker {verb} {access.image}:latest"


def _curl(access: Access) -> str:
    return (
        f"curl --fail -u '{access.login}':\"${VARIABLE}\" \\\n"
        f"  {settings.MOORAGE_EXTERNAL_URL.rstrip('/')}"
        f"/api/v2.0/projects/{access.project}/repositories"
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a robot works: its name, what to do first, the snippet."""

    key: str
    label: str | Promise
    before: str | Promise
    write: Callable[[Access], str]


PLACES = (
    Place("docker", "docker", _IN_SHELL, _docker),
    Place(
        "github",
        "GitHub Actions",
        gettext_lazy("Save the secret as MOORAGE_TOKEN in the repository's settings first."),
        _github,
    ),
    Place(
        "gitlab",
        "GitLab CI",
        gettext_lazy("Save the secret as the masked variable MOORAGE_TOKEN first."),
        _gitlab,
    ),
    Place("kubernetes", "Kubernetes", _IN_SHELL, _kubernetes),
    Place("curl", "curl", _IN_SHELL, _curl),
)


def place_of(key: str) -> Place:
    """Return the place of this key, or the first one."""
    return next((place for place in PLACES if place.key == key), PLACES[0])
