"""crane, helm and cosign, built from their Go modules: part of `make clients-test`."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.live.client import client, make_project
from tests.live.images import write_index
from tests.live.programs import fails, need, run
from tests.live.stack import Stack

pytestmark = pytest.mark.clients

MODULES = {
    "crane": "github.com/google/go-containerregistry/cmd/crane@v0.20.6",
    "helm": "helm.sh/helm/v3/cmd/helm@v3.18.6",
    "cosign": "github.com/sigstore/cosign/v2/cmd/cosign@v2.5.3",
}
# A cold build of cosign, with all that it imports, on two cores.
BUILD_SECONDS = 900


@pytest.fixture
def project(stack: Stack) -> str:
    """A private project for each client."""
    return make_project(stack)


def built(name: str, directory: Path) -> str:
    """Return a program, built where it is not there yet; ``MOORAGE_CLIENTS`` keeps it."""
    binaries = Path(os.environ.get("MOORAGE_CLIENTS", directory / "bin"))
    if not (binaries / name).exists():
        subprocess.run(
            [need("go"), "install", MODULES[name]],
            env=os.environ | {"GOBIN": str(binaries)},
            timeout=BUILD_SECONDS,
            check=True,
        )
    return str(binaries / name)


def test_crane(stack: Stack, project: str, tmp_path: Path) -> None:
    crane = built("crane", tmp_path)
    layout = tmp_path / "layout"
    digest = write_index(layout, files={"hello": b"crane\n"})
    assert stack.push(layout, f"{project}/app:1").returncode == 0
    config = {"DOCKER_CONFIG": str(tmp_path / "config")}
    base = f"{stack.address}/{project}"
    run(crane, "auth", "login", stack.address, "-u", "admin", "-p", stack.admin_password, **config)
    assert run(crane, "digest", "--insecure", f"{base}/app:1", **config).strip() == digest
    run(crane, "copy", "--insecure", f"{base}/app:1", f"{base}/copy:1", **config)
    assert run(crane, "digest", "--insecure", f"{base}/copy:1", **config).strip() == digest
    run(crane, "tag", "--insecure", f"{base}/copy:1", "2", **config)
    assert run(crane, "ls", "--insecure", f"{base}/copy", **config).split() == ["1", "2"]
    assert f"{project}/copy" in run(crane, "catalog", "--insecure", stack.address, **config)
    run(crane, "delete", "--insecure", f"{base}/copy@{digest}", **config)
    assert run(crane, "ls", "--insecure", f"{base}/copy", **config).split() == []
    run(crane, "validate", "--insecure", "--remote", f"{base}/app:1", **config)


def test_helm(stack: Stack, project: str, tmp_path: Path) -> None:
    helm = built("helm", tmp_path)
    homes = {f"HELM_{name}_HOME": str(tmp_path / name) for name in ("CACHE", "CONFIG", "DATA")}
    chart, plain = f"oci://{stack.address}/{project}/quay", "--plain-http"
    run(helm, "create", tmp_path / "quay", **homes)
    run(helm, "package", tmp_path / "quay", "--version", "1.2.3", "-d", tmp_path, **homes)
    archive = tmp_path / "quay-1.2.3.tgz"
    target = f"oci://{stack.address}/{project}"
    assert "401" in fails(helm, "push", archive, target, plain, **homes)
    login = [helm, "registry", "login", stack.address, plain, "-u", "admin", "--password-stdin"]
    fails(*login, stdin="wrong", **homes)
    run(*login, stdin=stack.admin_password, **homes)
    run(helm, "push", archive, target, plain, **homes)
    shown = run(helm, "show", "chart", chart, "--version", "1.2.3", plain, **homes)
    assert "version: 1.2.3" in shown
    back = tmp_path / "back"
    back.mkdir()
    run(helm, "pull", chart, "--version", "1.2.3", plain, "-d", back, **homes)
    assert (back / archive.name).read_bytes() == archive.read_bytes()
    # Without a version it looks through the tags.
    assert "version: 1.2.3" in run(helm, "show", "chart", chart, plain, **homes)
    kinds = stack.get(
        f"/api/v2.0/projects/{project}/repositories/quay/artifacts",
        auth=("admin", stack.admin_password),
    )
    assert [artifact["type"] for artifact in kinds.json()] == ["CHART"]


class Signer:
    """cosign with a key of its own, on plain HTTP and without a transparency log."""

    def __init__(self, cosign: str, stack: Stack, directory: Path) -> None:
        """Make the keys and sign in."""
        self.cosign, self.directory = cosign, directory
        self.environment = {
            "COSIGN_PASSWORD": "",
            "DOCKER_CONFIG": str(directory / "config"),
            "HOME": str(directory),
        }
        self.keys = str(directory / "keys")
        run(cosign, "generate-key-pair", "--output-key-prefix", self.keys, **self.environment)
        login = ["login", stack.address, "-u", "admin", "-p", stack.admin_password]
        run(cosign, *login, **self.environment)

    def private(self, command: str, *arguments: str | Path, **environment: str) -> str:
        """Do what needs the private key."""
        flags = ["--key", f"{self.keys}.key", "--tlog-upload=false", "--yes"]
        return self.plain(command, *flags, *arguments, **environment)

    def public(self, command: str, *arguments: str | Path, **environment: str) -> str:
        """Do what needs the public key."""
        flags = ["--key", f"{self.keys}.pub", "--insecure-ignore-tlog=true"]
        return self.plain(command, *flags, *arguments, **environment)

    def plain(self, command: str, *arguments: str | Path, **environment: str) -> str:
        """Run a command over plain HTTP."""
        words = [*command.split(), "--allow-http-registry", *arguments]
        return run(self.cosign, *words, **self.environment, **environment)


def accessories(stack: Stack, project: str, digest: str) -> list[str]:
    """Return the types of what the API says is attached to an image."""
    path = f"/api/v2.0/projects/{project}/repositories/app/artifacts/{digest}/accessories"
    answer = stack.get(path, auth=("admin", stack.admin_password))
    assert answer.status_code == 200, answer.text
    return sorted(row["type"] for row in answer.json())


@pytest.fixture
def signed(stack: Stack, project: str, tmp_path: Path) -> tuple[Signer, str, str]:
    """A signer, an image to sign, and its digest."""
    signer = Signer(built("cosign", tmp_path), stack, tmp_path)
    digest = write_index(tmp_path / "layout", files={"hello": b"cosign\n"})
    assert stack.push(tmp_path / "layout", f"{project}/app:1").returncode == 0
    return signer, f"{stack.address}/{project}/app@{digest}", digest


def test_cosign_by_tags(stack: Stack, project: str, signed: tuple[Signer, str, str]) -> None:
    signer, image, digest = signed
    fails(signer.cosign, "verify", "--key", f"{signer.keys}.pub", image, **signer.environment)
    signer.private("sign", image)
    (verified,) = json.loads(signer.public("verify", image))
    assert verified["critical"]["image"]["docker-manifest-digest"] == digest
    sbom = signer.directory / "sbom.json"
    sbom.write_text('{"spdxVersion": "SPDX-2.3"}')
    signer.plain("attach sbom", "--sbom", sbom, image)
    predicate = signer.directory / "predicate.json"
    predicate.write_text('{"built": "here"}')
    signer.private("attest", "--predicate", predicate, "--type", "custom", image)
    assert signer.public("verify-attestation", "--type", "custom", image)
    assert digest.replace(":", "-") in signer.plain("tree", image)
    tags = client(stack, f"repository:{project}/app:pull")
    listed = tags.ask("GET", f"/v2/{project}/app/tags/list").json["tags"]
    base = digest.replace(":", "-")
    assert listed == ["1", f"{base}.att", f"{base}.sbom", f"{base}.sig"]
    # Pages and API show one image with three things attached, not four tags.
    assert len(accessories(stack, project, digest)) == 3
    assert "signature.cosign" in accessories(stack, project, digest)


def test_cosign_by_referrers(stack: Stack, project: str, signed: tuple[Signer, str, str]) -> None:
    signer, image, digest = signed
    new = {"COSIGN_EXPERIMENTAL": "1"}
    signer.private("sign", "--registry-referrers-mode=oci-1-1", image, **new)
    assert signer.public("verify", "--experimental-oci11", image, **new)
    asking = client(stack, f"repository:{project}/app:pull")
    referrers = asking.ask("GET", f"/v2/{project}/app/referrers/{digest}").json["manifests"]
    assert [row["artifactType"] for row in referrers] == [
        "application/vnd.dev.cosign.artifact.sig.v1+json"
    ]
    assert asking.ask("GET", f"/v2/{project}/app/tags/list").json["tags"] == ["1"]
    assert accessories(stack, project, digest) == ["signature.cosign"]
    # The signature goes and comes back with its image.
    who = ("admin", stack.admin_password)
    path = f"/api/v2.0/projects/{project}/repositories/app/artifacts/{digest}"
    assert stack.request("DELETE", path, auth=who).status_code == 200
    assert asking.ask("GET", f"/v2/{project}/app/manifests/{referrers[0]['digest']}").status == 404
