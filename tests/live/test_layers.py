"""Layers as the worker reads them: after a real push, from the registry's own storage."""

from pathlib import Path

import pytest

from tests.live.client import make_project
from tests.live.images import write_image
from tests.live.stack import Stack, wait_for

pytestmark = pytest.mark.live

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"


def test_a_pushed_image_is_read_and_a_secret_is_refused(stack: Stack, tmp_path: Path) -> None:
    project = make_project(stack)
    write_image(tmp_path / "bad", files={"bin/app": b"x" * 5000, "root/.ssh/id_ed25519": KEY})
    write_image(tmp_path / "good", files={"bin/app": b"y" * 5000})
    admin = ("admin", stack.admin_password)
    pushed = stack.push(tmp_path / "bad", f"{project}/app:1")
    assert pushed.returncode == 0, pushed.stderr
    base = f"/api/v2.0/projects/{project}/repositories/app/artifacts/1/layers"
    wait_for(lambda: stack.get(base, auth=admin).status_code == 200, "the image was read")
    found = stack.get(base, auth=admin).json()
    assert [secret["path"] for secret in found["secrets"]] == ["root/.ssh/id_ed25519"]
    files = stack.get(f"{base}/1/files", params={"path": "bin"}, auth=admin).json()
    assert [(entry["name"], entry["size"]) for entry in files] == [("app", 5000)]

    policy = {"forbids_secrets": True, "is_enforced": True}
    path = f"/api/v2.0/projects/{project}/layer-policy"
    assert stack.request("PUT", path, json=policy, auth=admin).status_code == 200
    refused = stack.push(tmp_path / "bad", f"{project}/app:2")
    assert refused.returncode != 0
    assert "layer 2 holds what looks like a secret: root/.ssh/id_ed25519" in refused.stderr
    allowed = stack.push(tmp_path / "good", f"{project}/app:3")
    assert allowed.returncode == 0, allowed.stderr
