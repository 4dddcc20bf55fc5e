"""A Moorage started as its user starts it, and skopeo to talk to it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = ("registry", "gateway", "web", "worker", "nginx")
ADMIN_PASSWORD = "correct-horse-battery-staple"
# Slow machines run the tests too; nothing waits longer than it must.
PATIENCE = 90.0
_TLS = {
    "copy": ("--src-tls-verify=false", "--dest-tls-verify=false"),
    "sync": ("--src-tls-verify=false", "--dest-tls-verify=false"),
}


def wait_for(condition: Callable[[], object], what: str, *, patience: float = PATIENCE) -> None:
    """Return as soon as the condition holds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def environment(home: Path, port: int, **settings: str) -> dict[str, str]:
    """Return the environment of somebody who set nothing but this."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MOORAGE_", "DJANGO_", "PYTEST_"))
    }
    return kept | {
        "MOORAGE_HOME": str(home),
        "MOORAGE_PORT": str(port),
        "MOORAGE_ADMIN_PASSWORD": ADMIN_PASSWORD,
        **settings,
    }


def up(home: Path, port: int, **settings: str) -> subprocess.Popen[str]:
    """Start ``manage.py up``."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "up"],
        env=environment(home, port, **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A Ctrl-C for pytest is not one for Moorage: the fixture stops it.
        start_new_session=True,
    )


def refused(home: Path, port: int, **settings: str) -> str:
    """Start it where it cannot start; return the one line it says."""
    process = up(home, port, **settings)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode not in (0, None), out
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1, err
    return lines[0]


class Stack:
    """One running Moorage."""

    def __init__(self, home: Path, *, port: int | None = None, **settings: str) -> None:
        """Prepare; ``start`` starts."""
        self.home = home
        self.port = port or free_port()
        self.settings = settings
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        self.admin_password = settings.get("MOORAGE_ADMIN_PASSWORD", ADMIN_PASSWORD)
        self.said = ""
        self._process: subprocess.Popen[str] | None = None

    # --- Life -------------------------------------------------------------------------------------

    def start(self) -> "Stack":
        """Start it and return when it says that it is ready."""
        self._process = up(self.home, self.port, **self.settings)
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if line.startswith("Logs are in"):
                self.said = "".join(lines)
                return self
        said = "".join(lines) + self._process.communicate()[1]
        raise AssertionError(f"it did not start: {said}\n{self.logs()}")

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Stop it as its user does; return its exit status."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(signum)
        process.communicate(timeout=PATIENCE)
        return process.returncode

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process of ``manage.py up`` itself."""
        assert self._process is not None
        return self._process

    def pid(self, program: str) -> int:
        """Return the number of a program's (first) process."""
        return int((self.home / "run" / f"{program}.pid").read_text())

    def kill(self, program: str) -> None:
        """End a program without a chance to clean up, and return when another is in its place."""
        before = self.pid(program)
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: self.pid(program) != before, f"another {program}")

    def processes(self) -> dict[int, str]:
        """Return every process that works in this home, with its command."""
        found = {}
        run = str(self.home / "run")
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and str((entry / "cwd").readlink()).startswith(run):
                    command = (entry / "cmdline").read_bytes()
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode()
        return found

    def logs(self) -> str:
        """Return the end of every log, for a failure's report."""
        ends = []
        for path in sorted((self.home / "logs").glob("*.log")):
            text = path.read_text(errors="replace")
            ends.append(f"== {path.name}\n{text[-2000:]}")
        return "\n".join(ends)

    # --- Asking -----------------------------------------------------------------------------------

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET a path of the public address."""
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request to the public address, whatever proxy the environment names."""
        with requests.Session() as session:
            session.trust_env = False
            options.setdefault("timeout", PATIENCE)
            options.setdefault("allow_redirects", False)
            return session.request(method, self.url + path, **options)

    def token(self, scope: str, username: str = "admin", password: str = "") -> str:
        """Fetch a registry token as docker does; an empty username asks as nobody."""
        response = self.get(
            "/service/token",
            params={"service": "moorage", "scope": scope},
            auth=(username, password or self.admin_password) if username else None,
        )
        assert response.status_code == 200, response.text
        return str(response.json()["token"])

    def health(self) -> dict[str, str]:
        """Return each component's status; nothing while nothing answers."""
        try:
            response = self.get("/api/v2.0/health", timeout=5)
        except requests.RequestException:
            return {}
        if response.status_code != 200:
            return {}
        return {part["name"]: part["status"] for part in response.json()["components"]}

    def is_healthy(self) -> bool:
        """Tell whether every component is, and the gateway answers."""
        health = self.health()
        if not health or set(health.values()) != {"healthy"}:
            return False
        return self.get("/v2/").status_code == 401

    # --- skopeo -----------------------------------------------------------------------------------

    def skopeo(
        self, command: str, *arguments: str, username: str = "admin", password: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run skopeo with somebody's credentials; an empty username has none."""
        authfile = self.home / "run" / f"auth-{username or 'nobody'}.json"
        secret = b64encode(f"{username}:{password or self.admin_password}".encode()).decode()
        auths = {self.address: {"auth": secret}} if username else {}
        authfile.write_text(json.dumps({"auths": auths}))
        flags = _TLS.get(command, ("--tls-verify=false",))
        return subprocess.run(
            ["skopeo", "--insecure-policy", command, *flags, "--authfile", authfile, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={key: value for key, value in os.environ.items() if not _is_proxy(key)},
        )

    def push(
        self, layout: Path, name: str, *, username: str = "admin", password: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Push a layout's ``latest``, an index with all its images, to a name."""
        return self.skopeo(
            "copy",
            "--all",
            "--preserve-digests",
            f"oci:{layout}:latest",
            f"docker://{self.address}/{name}",
            username=username,
            password=password,
        )

    def pull(
        self, name: str, layout: Path, *, username: str = "admin", password: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Pull ``project/repository:tag`` into a layout's ``latest``."""
        return self.skopeo(
            "copy",
            "--all",
            "--preserve-digests",
            f"docker://{self.address}/{name}",
            f"oci:{layout}:latest",
            username=username,
            password=password,
        )


def _is_proxy(name: str) -> bool:
    return re.fullmatch(r"(?i)(https?|all|no)_proxy", name) is not None
