"""The clients that people use, each for real: `make clients-test` installs and runs them.

Not part of `make test`: their packages are large. What each did stands in docs/clients.md.
"""

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import engines
from tests.live.client import client, make_project, pusher
from tests.live.programs import fails, run
from tests.live.stack import Stack

pytestmark = pytest.mark.clients


@pytest.fixture
def project(stack: Stack) -> str:
    """A private project for each client."""
    return make_project(stack)


def archive(directory: Path) -> Path:
    """A file system of one file as a tar archive."""
    path = directory / "rootfs.tar"
    (directory / "hello").write_text("hello\n" * 1000)
    with tarfile.open(path, "w") as tar:
        tar.add(directory / "hello", "hello")
    return path


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[list[str]]:
    """Docker's client with an engine of its own, started here and stopped after."""
    with engines.docker(tmp_path) as command:
        yield command


def test_docker(stack: Stack, project: str, docker: list[str], tmp_path: Path) -> None:
    base = f"{stack.address}/{project}"
    run(*docker, "import", archive(tmp_path), f"{base}/app:1")
    denied = fails(*docker, "push", f"{base}/app:1")
    assert "unauthorized" in denied or "denied" in denied
    wrong = ["login", stack.address, "-u", "admin", "--password-stdin"]
    assert "incorrect username or password" in fails(*docker, *wrong, stdin="wrong")
    run(*docker, *wrong, stdin=stack.admin_password)
    pushed = run(*docker, "push", f"{base}/app:1")
    digest = pushed.rpartition("digest: ")[2].split()[0]
    run(*docker, "tag", f"{base}/app:1", f"{base}/other:1")
    assert f"Mounted from {project}/app" in run(*docker, "push", f"{base}/other:1")
    run(*docker, "rmi", f"{base}/app:1", f"{base}/other:1")
    assert digest in run(*docker, "pull", f"{base}/app:1")
    run(*docker, "pull", f"{base}/app@{digest}")


def test_docker_pulls_an_index(stack: Stack, project: str, docker: list[str], index: Path) -> None:
    assert stack.push(index, f"{project}/multi:1").returncode == 0
    run(
        *docker,
        *("login", stack.address, "-u", "admin", "--password-stdin"),
        stdin=stack.admin_password,
    )
    run(*docker, "pull", "--platform", "linux/arm64", f"{stack.address}/{project}/multi:1")
    shown = run(*docker, "inspect", f"{stack.address}/{project}/multi:1")
    assert json.loads(shown)[0]["Architecture"] == "arm64"


def test_podman(stack: Stack, project: str, tmp_path: Path) -> None:
    podman = engines.podman(tmp_path)
    auth = {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    name = f"{stack.address}/{project}/app:1"
    run(*podman, "import", archive(tmp_path), name)
    run(
        *podman,
        *("login", "--tls-verify=false", "-u", "admin", "--password-stdin"),
        stack.address,
        stdin=stack.admin_password,
        **auth,
    )
    run(*podman, "push", "--tls-verify=false", name, **auth)
    run(*podman, "rmi", name)
    run(*podman, "pull", "--tls-verify=false", name, **auth)
    found = run(*podman, "search", "--tls-verify=false", f"{stack.address}/{project}", **auth)
    assert f"{project}/app" in found
    listed = run(
        *podman, "search", "--list-tags", "--tls-verify=false", name.rpartition(":")[0], **auth
    )
    assert "1" in listed.split()


@pytest.fixture
def ctr(tmp_path: Path) -> Iterator[list[str]]:
    """containerd's client with a daemon of its own."""
    with engines.containerd(tmp_path) as command:
        yield command


def test_ctr(stack: Stack, project: str, ctr: list[str], index: Path) -> None:
    name = f"{stack.address}/{project}/app:1"
    assert stack.push(index, f"{project}/app:1").returncode == 0
    plain = ["--plain-http", "--user", f"admin:{stack.admin_password}"]
    run(*ctr, "images", "pull", "--all-platforms", "--snapshotter", "native", *plain, name)
    again = f"{stack.address}/{project}/again:2"
    run(*ctr, "images", "tag", name, again)
    run(*ctr, "images", "push", *plain, again)
    here = pusher(stack, f"{project}/again")
    first = client(stack, f"repository:{project}/app:pull")
    pushed = here.ask("GET", f"/v2/{project}/again/manifests/2")
    assert pushed.body == first.ask("GET", f"/v2/{project}/app/manifests/1").body


# oras-py keeps its first token for good, and that one is for pulling: it is given one for both.
ORAS = """
import os, sys
import oras.client, requests
address, name, password = sys.argv[1:]
scope = {"service": "moorage", "scope": f"repository:{name}:pull,push"}
answer = requests.get(f"http://{address}/service/token", params=scope, auth=("admin", password))
here = oras.client.OrasClient(insecure=True, auth_backend="token")
here.auth.set_token_auth(answer.json()["token"])
here.push(target=f"{address}/{name}:1", files=["report.txt"])
os.rename("report.txt", "sent.txt")
here.pull(target=f"{address}/{name}:1", outdir=".")
assert open("report.txt").read() == open("sent.txt").read()
assert here.get_tags(f"{address}/{name}") == ["1"]
"""


def test_oras(stack: Stack, project: str, tmp_path: Path) -> None:
    """Any file as an artifact, by oras-py in an environment of its own."""
    environment = tmp_path / "venv"
    run(sys.executable, "-m", "venv", environment)
    run(environment / "bin" / "pip", "install", "--quiet", "oras==0.2.38")
    (tmp_path / "report.txt").write_text("an artifact\n")
    done = subprocess.run(
        [
            *(environment / "bin" / "python", "-c", ORAS),
            *(stack.address, f"{project}/report", stack.admin_password),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
