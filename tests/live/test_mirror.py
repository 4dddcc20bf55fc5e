"""Clients that ask a mirror first, for what only the registry behind it has."""

import json
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import engines
from tests.live.client import unique
from tests.live.mirroring import Mirrored, prepare
from tests.live.plain_registry import PlainRegistry
from tests.live.programs import fails, need, run
from tests.live.stack import Stack


@pytest.fixture(scope="module")
def mirrored(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    """The stack's mirror, with a registry of its own behind it."""
    upstream = PlainRegistry(tmp_path_factory.mktemp("upstream")).start()
    yield prepare(stack, upstream)
    upstream.stop()


def configuration(mirrored: Mirrored, folder: Path) -> Path:
    """Write podman's and skopeo's; docker.io itself is nowhere, so nobody else can answer."""
    path = folder / "registries.conf"
    path.write_text(
        '[[registry]]\nprefix = "docker.io"\nlocation = "127.0.0.1:1"\ninsecure = true\n\n'
        f'[[registry.mirror]]\nlocation = "{mirrored.address}"\ninsecure = true\n'
    )
    return path


@pytest.mark.live
def test_skopeo(mirrored: Mirrored, tmp_path: Path) -> None:
    image = mirrored.publish(tmp_path, unique("skopeo"), "skopeo\n")
    configured = str(configuration(mirrored, tmp_path))
    skopeo = [need("skopeo"), "--insecure-policy", "--registries-conf", configured]
    for number in (1, 2):
        source = f"docker://docker.io/library/{image}"
        run(*skopeo, "copy", source, f"oci:{tmp_path}/pulled:{number}")
    # The second pull fetched nothing again.
    fetched = mirrored.fetched(image.partition(":")[0])
    assert len(fetched) == len(set(fetched)) > 0


@pytest.mark.clients
def test_docker(mirrored: Mirrored, tmp_path: Path) -> None:
    image = mirrored.publish(tmp_path, unique("docker"), "docker\n")
    with engines.docker(tmp_path, f"--registry-mirror=http://{mirrored.address}") as command:
        assert "Downloaded newer image" in run(*command, "pull", image)
        run(*command, "rmi", image)
        run(*command, "pull", image)
        told = json.loads(run(*command, "image", "inspect", image))[0]
        assert told["RepoTags"] == [image]
        # What is not behind it either is not found.
        fails(*command, "pull", unique("nothing"))
    fetched = mirrored.fetched(image.partition(":")[0])
    assert len(fetched) == len(set(fetched)) > 0


@pytest.mark.clients
def test_podman(mirrored: Mirrored, tmp_path: Path) -> None:
    image = mirrored.publish(tmp_path, unique("podman"), "podman\n")
    podman = engines.podman(tmp_path)
    configured = str(configuration(mirrored, tmp_path))
    run(
        *(*podman, "pull", f"docker.io/library/{image}"),
        CONTAINERS_REGISTRIES_CONF=configured,
    )
    assert f"docker.io/library/{image}" in run(
        *podman, "images", "--format", "{{.Repository}}:{{.Tag}}"
    )
    assert mirrored.fetched(image.partition(":")[0])


@pytest.mark.clients
def test_containerd(mirrored: Mirrored, tmp_path: Path) -> None:
    image = mirrored.publish(tmp_path, unique("ctr"), "containerd\n")
    hosts = tmp_path / "certs.d"
    for registry in ("docker.io", "quay.example.com"):
        (hosts / registry).mkdir(parents=True)
        (hosts / registry / "hosts.toml").write_text(
            'server = "http://127.0.0.1:1"\n\n'
            f'[host."http://{mirrored.address}"]\n  capabilities = ["pull", "resolve"]\n'
        )
    with engines.containerd(tmp_path) as ctr:
        pull = [*ctr, "images", "pull", "--snapshotter", "native", "--hosts-dir", str(hosts)]
        run(*pull, f"docker.io/library/{image}")
        # The mirror stands for Docker Hub: the same name elsewhere is another image.
        fails(*pull, f"quay.example.com/library/{image}")
    assert mirrored.fetched(image.partition(":")[0])


@pytest.mark.live
def test_nothing_is_pushed_to_it(mirrored: Mirrored, image: Path) -> None:
    done = subprocess.run(
        [
            *(need("skopeo"), "--insecure-policy", "copy", "--dest-tls-verify=false"),
            *("--dest-creds", f"admin:{mirrored.stack.admin_password}"),
            *(f"oci:{image}:latest", f"docker://{mirrored.address}/library/pushed:1"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "405" in done.stderr or "unsupported" in done.stderr.lower(), done.stderr


@pytest.mark.live
def test_a_private_project_wants_credentials_for_the_mirror(
    mirrored: Mirrored, tmp_path: Path
) -> None:
    image = mirrored.publish(tmp_path, unique("private"), "private\n")
    configured = str(configuration(mirrored, tmp_path))
    secret = b64encode(f"admin:{mirrored.stack.admin_password}".encode()).decode()
    signed_in, nobody = tmp_path / "auth.json", tmp_path / "none.json"
    signed_in.write_text(json.dumps({"auths": {mirrored.address: {"auth": secret}}}))
    nobody.write_text("{}")
    inspect = [need("skopeo"), "--registries-conf", configured, "inspect", "--no-tags"]
    source = f"docker://docker.io/library/{image}"
    mirrored.publicise(is_public=False)
    try:
        fails(*inspect, "--authfile", nobody, source)
        assert not mirrored.fetched(image.partition(":")[0])
        assert '"Digest"' in run(*inspect, "--authfile", signed_in, source)
    finally:
        mirrored.publicise(is_public=True)
    assert '"Digest"' in run(*inspect, "--authfile", nobody, source)
