"""A Docker engine of its own, base images made by debootstrap, and the composed Moorage in it.

``MOORAGE_TEST_COMPOSE_CACHE`` names a directory that keeps the base image and the engine's layers
between runs; without it everything is made in a temporary one and removed at the end.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.live.stack import ROOT, Stack, wait_for

BASE = "moorage-test/base:bookworm"
SERVICES = ("nginx", "registry", "gateway", "web", "worker", "beat", "postgres", "redis")
_HOST_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
# An engine without a default network of its own disturbs no other; builds use the host's.
_OVERRIDE = "services: {setup: {build: {network: host}}}\n"
_MINUTES = 60.0


def run(
    *command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Run a command that must succeed; return what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=20 * _MINUTES,
        check=False,
        cwd=cwd,
        env=os.environ | dict(environment or {}),
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


@contextmanager
def folder() -> Iterator[Path]:
    """Yield the cache, or a directory for this once; a socket's path must be short."""
    if cache := os.environ.get("MOORAGE_TEST_COMPOSE_CACHE"):
        Path(cache).mkdir(parents=True, exist_ok=True)
        yield Path(cache)
        return
    directory = Path(tempfile.mkdtemp(prefix="moorage-compose-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def engine(directory: Path) -> Iterator[str]:
    """Start an engine; yield its address."""
    address = f"unix://{directory}/docker.sock"
    with (directory / "engine.log").open("w") as log:
        process = subprocess.Popen(
            [
                *("dockerd", "-H", address, "--data-root", str(directory / "data")),
                *("--exec-root", str(directory / "exec"), "--pidfile", str(directory / "pid")),
                "--bridge=none",
            ],
            stdout=log,
            stderr=log,
        )

        def answers() -> bool:
            assert process.poll() is None, (directory / "engine.log").read_text()
            command = ["docker", "-H", address, "info"]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

        try:
            wait_for(answers, "the engine")
            yield address
        finally:
            process.terminate()
            process.wait()
            # The engine leaves this mounted, and what is mounted cannot be removed.
            for space in (directory / "exec/netns").glob("*"):
                subprocess.run(["umount", space], check=False)


def make_base(directory: Path, address: str) -> None:
    """Make the base image and the stand-ins for the official ones, where they are missing."""
    docker = ("docker", "-H", address)
    if not run(*docker, "images", "-q", BASE).strip():
        root = directory / "rootfs"
        shutil.rmtree(root, ignore_errors=True)
        run("debootstrap", "--variant=minbase", "bookworm", root)
        for package in (root / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        archive = directory / "rootfs.tar"
        run("tar", "-C", root, "-cf", archive, ".")
        run(*docker, "import", archive, BASE)
        shutil.rmtree(root)
        archive.unlink()
    for target in ("postgres", "redis"):
        run(
            *(*docker, "build", "--network=host", "--build-arg", f"BASE_IMAGE={BASE}"),
            *("--target", target, "-t", f"moorage-test/{target}", ROOT / "tests/live/stand_ins"),
            environment={"DOCKER_BUILDKIT": "0"},
        )


def copy_tree(target: Path) -> None:
    """Copy what git knows or would know, and let the build trust what this machine trusts."""
    names = run("git", "-C", ROOT, "ls-files", "-z", "-co", "--exclude-standard").split("\0")
    for name in names:
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    if _HOST_AUTHORITIES.exists():
        shutil.copy(_HOST_AUTHORITIES, target / "deploy/ca/host.crt")
    (target / "override.yml").write_text(_OVERRIDE)


class Composed(Stack):
    """Moorage in containers: what the tests ask of a stack, and compose's own commands."""

    def __init__(self, home: Path, tree: Path, address: str) -> None:
        """Make the secrets; ``up`` starts."""
        (home / "run").mkdir()  # Where skopeo's credentials are written.
        run(tree / "deploy/make-secrets", cwd=tree)
        password = (tree / "secrets/admin_password").read_text().strip()
        super().__init__(home, MOORAGE_ADMIN_PASSWORD=password)
        self.tree = tree
        self._environment = {
            "DOCKER_HOST": address,
            "COMPOSE_PROJECT_NAME": "moorage-test",
            "BASE_IMAGE": BASE,
            "POSTGRES_IMAGE": "moorage-test/postgres",
            "REDIS_IMAGE": "moorage-test/redis",
            "MOORAGE_PORT": str(self.port),
            "DOCKER_BUILDKIT": "0",
        }

    def compose(self, *arguments: str) -> str:
        """Run docker-compose."""
        files = ("-f", "docker-compose.yml", "-f", "override.yml")
        return run(
            "docker-compose", *files, *arguments, cwd=self.tree, environment=self._environment
        )

    def docker(self, *arguments: str) -> str:
        """Run docker."""
        return run("docker", *arguments, environment=self._environment).strip()

    def up(self) -> None:
        """Start everything and wait until all of it is healthy."""
        self.compose("up", "-d")
        wait_for(self.all_healthy, "the containers' health", patience=3 * _MINUTES)

    def all_healthy(self) -> bool:
        """Tell whether every container is, and Moorage says the same."""
        return all(self.state(name) == "healthy" for name in SERVICES) and self.is_healthy()

    def container(self, service: str) -> str:
        """Return a service's container."""
        return self.compose("ps", "-q", service).strip()

    def state(self, service: str) -> str:
        """Return what its health check says."""
        return self.inspect(service, "{{.State.Health.Status}}")

    def inspect(self, service: str, form: str) -> str:
        """Return something that docker knows of a service's container."""
        return self.docker("inspect", "-f", form, self.container(service))

    def execute(self, service: str, *command: str) -> str:
        """Run a command in a service's container."""
        return self.docker("exec", self.container(service), *command)

    def kill(self, program: str) -> None:
        """End a container's first process; `docker kill` would forbid the restart."""
        os.kill(int(self.inspect(program, "{{.State.Pid}}")), signal.SIGKILL)

    def query(self, statement: str) -> list[str]:
        """Ask the database."""
        command = ("psql", "-U", "moorage", "-d", "moorage", "-Atc", statement)
        return self.execute("postgres", *command).splitlines()
