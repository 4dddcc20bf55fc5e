"""Programs that run containers, each with a directory and a socket of its own."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.programs import need
from tests.live.stack import wait_for


@contextmanager
def docker(directory: Path, *options: str) -> Iterator[list[str]]:
    """Yield docker's client for an engine started with further options."""
    need("docker")
    _require_root("dockerd")
    socket = f"unix://{directory}/docker.sock"
    engine = [
        *("dockerd", "-H", socket, "--data-root", str(directory / "data")),
        *("--exec-root", str(directory / "exec"), "--pidfile", str(directory / "pid")),
        *("--iptables=false", "--bridge=none", *options),
    ]
    command = ["docker", "-H", socket, "--config", str(directory / "config")]
    with _running(engine, directory / "log", [*command, "info"]):
        yield command


@contextmanager
def containerd(directory: Path) -> Iterator[list[str]]:
    """Yield containerd's client."""
    need("ctr")
    _require_root("containerd")
    configuration = directory / "config.toml"
    configuration.write_text(
        'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'root = "{directory}/root"\nstate = "{directory}/state"\n'
        f'[grpc]\naddress = "{directory}/containerd.sock"\n'
        f'[ttrpc]\naddress = "{directory}/ttrpc.sock"\n'
    )
    daemon = ["containerd", "--config", str(configuration)]
    command = ["ctr", "-a", f"{directory}/containerd.sock"]
    with _running(daemon, directory / "log", [*command, "version"]):
        yield command


def podman(directory: Path) -> list[str]:
    """Return podman's command, which needs no daemon."""
    return [
        need("podman"),
        *("--root", str(directory / "root"), "--runroot", str(directory / "run")),
        *("--storage-driver", "vfs", "--events-backend", "none"),
    ]


def _require_root(program: str) -> None:
    need(program)
    if os.geteuid() != 0:
        pytest.skip(f"{program} starts as root only")


@contextmanager
def _running(command: list[str], log: Path, question: list[str]) -> Iterator[None]:
    """Run a daemon until it answers and for as long as it is needed."""
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            return subprocess.run(question, capture_output=True, check=False).returncode == 0

        try:
            wait_for(answers, command[0])
            yield
        finally:
            process.terminate()
            process.wait()
