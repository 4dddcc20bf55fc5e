"""A registry started as ``manage.py up`` does, with nothing before it."""

import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from accounts.crypto import ensure_keys
from tests.ports import free_port

TEMPLATE = settings.BASE_DIR / "deploy" / "registry.yml.template"
_PLACEHOLDER = re.compile(r"@@\{(\w+)\}")


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start one with its storage in ``folder/storage``; give its address."""
    executable = shutil.which("docker-registry") or shutil.which("registry")
    assert executable, "install docker-registry"
    port = free_port()
    ensure_keys(settings.MOORAGE_KEYS)
    values = {
        "listen": f"127.0.0.1:{port}",
        "registry_port": str(port),
        "driver": f'filesystem: {{rootdirectory: "{folder / "storage"}"}}',
        "http_secret": secrets.token_hex(),
        "realm": "http://127.0.0.1/service/token",
        "service": settings.MOORAGE_TOKEN_SERVICE,
        "issuer": settings.MOORAGE_TOKEN_ISSUER,
        "certificates": str(settings.MOORAGE_KEYS / "ca.pem"),
    }
    rendered = _PLACEHOLDER.sub(lambda found: values[found[1]], TEMPLATE.read_text())
    (folder / "registry.yml").write_text(rendered)
    log = (folder / "log").open("wb")
    program = subprocess.Popen(
        [executable, "serve", str(folder / "registry.yml")], stdout=log, stderr=log, cwd=folder
    )
    try:
        _wait_for(port, program)
        yield f"http://127.0.0.1:{port}"
    finally:
        program.kill()
        program.wait()
        log.close()


def _wait_for(port: int, program: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        assert program.poll() is None, "the registry ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the registry does not listen")
