"""A registry that stands for Docker Hub, and a proxy project that the mirror answers from."""

from dataclasses import dataclass
from pathlib import Path

from tests.live.images import write_image
from tests.live.plain_registry import PlainRegistry
from tests.live.stack import Stack

PROJECT = "hub"


@dataclass(frozen=True)
class Mirrored:
    """What the clients' tests need to know."""

    stack: Stack
    upstream: PlainRegistry
    # Of the upstream among Moorage's other registries.
    registry_id: int

    @property
    def port(self) -> int:
        """The mirror's."""
        return int(self.stack.settings["MOORAGE_MIRROR_PORT"])

    @property
    def address(self) -> str:
        """The mirror's name and port."""
        return f"127.0.0.1:{self.port}"

    def publish(self, folder: Path, name: str, content: str) -> str:
        """Push an image to the upstream alone, as ``library/NAME:1``; return what clients pull."""
        layout = folder / name
        layout.mkdir()
        write_image(layout, files={"hello": content.encode()})
        self.upstream.push(layout, f"library/{name}:1")
        return f"{name}:1"

    def publicise(self, *, is_public: bool) -> None:
        """Let everyone pull from the project, or its members alone."""
        changed = self.stack.request(
            "PUT",
            f"/api/v2.0/projects/{PROJECT}",
            json={"metadata": {"public": str(is_public).lower()}},
            auth=("admin", self.stack.admin_password),
        )
        assert changed.status_code == 200, changed.text

    def fetched(self, name: str) -> list[str]:
        """Return the paths of what was fetched from the upstream of an image: GETs, in order."""
        return [
            path
            for method, path, _status in self.upstream.requests()
            if method == "GET" and f"/library/{name}/" in path
        ]


def prepare(stack: Stack, upstream: PlainRegistry) -> Mirrored:
    """Make the proxy project ``hub`` of the upstream; public."""
    auth = ("admin", stack.admin_password)
    remote = {"name": f"hub-{upstream.port}", "type": "docker-registry", "url": upstream.url}
    made = stack.request("POST", "/api/v2.0/registries", json=remote, auth=auth)
    assert made.status_code == 201, made.text
    number = int(made.headers["Location"].rpartition("/")[2])
    project = {"project_name": PROJECT, "public": True, "registry_id": number}
    made = stack.request("POST", "/api/v2.0/projects", json=project, auth=auth)
    assert made.status_code == 201, made.text
    return Mirrored(stack, upstream, number)
