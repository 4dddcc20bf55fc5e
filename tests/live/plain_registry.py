"""A registry as people have one before they have Moorage: no users, no projects, one directory."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

from tests.live.stack import PATIENCE, wait_for
from tests.ports import free_port

_CONFIGURATION = """
version: 0.1
log: {{level: warn}}
storage:
  {storage}
  delete: {{enabled: true}}
  redirect: {{disable: true}}
http: {{addr: "{host}:{port}", secret: plain}}
{auth}
"""
USERNAME, PASSWORD = "mover", "correct-horse-12"
# The password by bcrypt, the only way that the registry reads.
_HTPASSWD = f"{USERNAME}:$2b$05$/U6qvwjXMNR5/9oqC.Y5f.GGL4ugNiC2bdAcxvTbzAOM70HKbPV1q\n"
_REQUEST = re.compile(r'"(HEAD|GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1" (\d+)')


class PlainRegistry:
    """One that runs."""

    def __init__(
        self,
        folder: Path,
        *,
        storage: str = "",
        with_password: bool = False,
        host: str = "127.0.0.1",
        prefix: tuple[str, ...] = (),
    ) -> None:
        """``storage``: the driver's section; a directory below ``folder`` where none is given.

        ``prefix`` runs it where ``host`` is an address.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.root = folder / "storage"
        self.port = free_port()
        self.host = host
        self.address = f"{host}:{self.port}"
        self.url = f"http://{self.address}"
        self._prefix = prefix
        self._with_password = with_password
        self._storage = storage or f'filesystem: {{rootdirectory: "{self.root}"}}'
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "PlainRegistry":
        """Start it and return when it listens."""
        executable = shutil.which("docker-registry") or shutil.which("registry")
        assert executable, "install docker-registry"
        path = self.folder / "registry.yml"
        auth = ""
        if self._with_password:
            (self.folder / "htpasswd").write_text(_HTPASSWD)
            auth = f"auth: {{htpasswd: {{realm: plain, path: {self.folder}/htpasswd}}}}"
        described = {"storage": self._storage, "host": self.host, "port": self.port, "auth": auth}
        path.write_text(_CONFIGURATION.format(**described))
        with (self.folder / "registry.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, executable, "serve", path], stdout=log, stderr=log, cwd=self.folder
            )
        wait_for(self._listens, "the plain registry")
        return self

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def requests(self) -> list[tuple[str, str, int]]:
        """Return what it was asked so far: method, path and status."""
        found = _REQUEST.findall((self.folder / "registry.log").read_text())
        return [(method, path, int(status)) for method, path, status in found]

    def push(self, layout: Path, name: str) -> None:
        """Push a layout's ``latest``, an index with all its images, to a name."""
        done = subprocess.run(
            [
                "skopeo",
                "--insecure-policy",
                "copy",
                "--all",
                "--preserve-digests",
                "--dest-tls-verify=false",
                f"oci:{layout}:latest",
                f"docker://{self.address}/{name}",
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
        )
        assert done.returncode == 0, done.stderr

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "registry.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0
