"""Run a command with a throw-away PostgreSQL cluster: ``python -m tests.postgres pytest …``."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg2

# Durability is for data that anybody will want tomorrow.
_OPTIONS = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "max_connections": "120",
}
# Nobody needs the tests' data after a power cut.
_HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def _binaries() -> Path:
    """Return the directory of initdb; Debian keeps it off PATH, one directory per version."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    if newest is None:
        sys.exit("moorage: PostgreSQL is missing; install it with: deploy/install test")
    return newest.parent


def _owner() -> pwd.struct_passwd:
    """Return who owns the cluster: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


@contextmanager
def cluster(*, is_durable: bool = False) -> Iterator[str]:
    """Start a cluster that listens on a Unix socket only; yield its URL."""
    chosen = _OPTIONS if is_durable else _OPTIONS | _HASTY
    owner = _owner()
    with tempfile.TemporaryDirectory(prefix="moorage-pg-") as name:
        folder = Path(name)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        binaries = _binaries()
        control = [str(binaries / "pg_ctl"), "-w", "-s", "-D", str(folder / "data")]
        options = " ".join(f"-c {key}={value or repr('')}" for key, value in chosen.items())
        start = ["-l", str(folder / "log"), "-o", f"-k {folder} {options}", "start"]

        def run(command: list[str]) -> None:
            other = owner.pw_name if os.geteuid() == 0 else None
            group = owner.pw_gid if other else None
            subprocess.run(
                command,
                check=True,
                user=other,
                group=group,
                extra_groups=[] if other else None,
                cwd=folder,
                stdout=subprocess.DEVNULL,
            )

        initialise = ["--no-sync", "--no-locale", "-E", "UTF8", "-A", "trust", "-U", "moorage"]
        run([str(binaries / "initdb"), "-D", str(folder / "data"), *initialise])
        run([*control, *start])
        try:
            yield f"postgres://moorage@{quote(str(folder), safe='')}/postgres"
        finally:
            run([*control, "-m", "immediate", "stop"])


def another_database(url: str, name: str) -> str:
    """Make an empty database beside the one of ``url``; return its URL."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
    return f"{url.rpartition('/')[0]}/{name}"


def main() -> int:
    """Run the command, and answer with its status."""
    with cluster() as url:
        environment = os.environ | {
            "MOORAGE_TEST_DATABASE": "postgresql",
            "MOORAGE_TEST_DATABASE_URL": url,
        }
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
