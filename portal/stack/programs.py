"""The programs, and supervisor's configuration that runs them."""

import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from portal.stack.home import Home
from portal.stack.render import Site

_LAUNCH = Path(__file__).resolve().parent / "launch.py"
# A longer path does not fit into a Unix socket's address (108 bytes, and supervisor adds to it).
_SOCKET_LIMIT = 90
# A page may take long; a pull must find a thread all the same. Of the gateway's few work at a time
# (registry_sync/gateway/places.py), the others wait for an upstream.
_THREADS = {"gateway": 72, "web": 4}
NAMES = ("registry", "gateway", "web", "worker", "nginx")


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised program."""

    name: str
    command: list[str]
    # Started in this order, told to stop in the reverse.
    priority: int
    environment: dict[str, str] = field(default_factory=dict)
    stop_seconds: int = 10
    # The log of requests goes to a file of its own.
    own_error_log: bool = False


def programs(home: Home, site: Site, found: dict[str, str]) -> list[Program]:
    """Return the five programs."""
    return [
        Program(
            "registry",
            [found["docker-registry"], "serve", str(home.run / "registry.yml")],
            priority=10,
        ),
        Program(
            "gateway",
            granian(site, "gateway"),
            priority=20,
            environment=gateway_environment(home),
        ),
        Program(
            "web",
            granian(site, "web"),
            priority=30,
            environment={"DJANGO_SETTINGS_MODULE": "portal.settings"},
        ),
        Program(
            "worker",
            worker(threads=4),
            priority=40,
            environment={"DJANGO_SETTINGS_MODULE": "portal.settings", "MOORAGE_BEAT": "1"},
            stop_seconds=20,
        ),
        Program("nginx", nginx(home, found["nginx"]), priority=50, own_error_log=True),
    ]


def gateway_environment(home: Home) -> dict[str, str]:
    """Return the gateway's own environment: its settings, and a disk for its temporary files."""
    return {"DJANGO_SETTINGS_MODULE": "portal.gateway_settings", "TMPDIR": str(home.spool)}


def worker(*, threads: int) -> list[str]:
    """Return the command of the worker."""
    return [
        *(sys.executable, "-m", "celery", "-A", "portal", "worker"),
        *("-P", "threads", "-c", str(threads), "-l", "INFO"),
        *("--without-gossip", "--without-mingle"),
    ]


def beat() -> list[str]:
    """Return the command of the scheduler, where it is no thread of the worker."""
    return [
        *(sys.executable, "-m", "celery", "-A", "portal", "beat"),
        *("-l", "INFO"),
        "--pidfile=",
    ]


def nginx(home: Home, binary: str) -> list[str]:
    """Return the command of nginx."""
    configuration = str(home.run / "nginx.conf")
    return [binary, "-p", f"{home.run / 'nginx'}/", "-e", "stderr", "-c", configuration]


def granian(site: Site, name: str) -> list[str]:
    """Return the command of the gateway or the web."""
    return [
        *(sys.executable, "-m", "granian"),
        *("--interface", "wsgi", "--http", "1", "--no-ws"),
        *("--host", site.inner_bind, "--port", str(site.ports[name])),
        *("--workers", "1", "--blocking-threads", str(_THREADS[name])),
        *("--workers-kill-timeout", "8", "--log-level", "warning", "--no-access-log"),
        "portal.wsgi:application",
    ]


def write_configuration(home: Home, programs: list[Program]) -> Path:
    """Write supervisor's configuration and return its path."""
    sections = [_supervisord(home)]
    socket = home.run / "supervisor.sock"
    if len(str(socket).encode()) < _SOCKET_LIMIT:
        sections.append(_control(socket))
    for program in programs:
        (home.run / program.name).mkdir(exist_ok=True)
        sections.append(_program(home, program))
    # A group is stopped at once; programs of their own would be waited for one by one.
    sections.append(f"[group:moorage]\nprograms={','.join(program.name for program in programs)}\n")
    path = home.run / "supervisord.conf"
    path.write_text("\n".join(sections))
    return path


def _supervisord(home: Home) -> str:
    lines = [
        "[supervisord]",
        "nodaemon=true",
        "silent=true",
        f"directory={home.run}",
        f"logfile={home.logs / 'supervisord.log'}",
        "logfile_maxbytes=5MB",
        "logfile_backups=2",
        f"pidfile={home.run / 'supervisord.pid'}",
        "umask=077",
    ]
    if os.geteuid() == 0:
        lines.append("user=root")
    return "\n".join([*lines, ""])


def _control(socket: Path) -> str:
    return "\n".join(
        [
            "[unix_http_server]",
            f"file={socket}",
            "chmod=0700",
            "",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
            "",
            "[supervisorctl]",
            f"serverurl=unix://{socket}",
            "",
        ]
    )


def _program(home: Home, program: Program) -> str:
    launch = [sys.executable, "-I", "-S", str(_LAUNCH), str(home.run), program.name]
    lines = [
        f"[program:{program.name}]",
        f"command={shlex.join([*launch, *program.command])}",
        f"directory={home.run / program.name}",
        f"priority={program.priority}",
        "autorestart=true",
        "startsecs=1",
        "startretries=20",
        "stopsignal=TERM",
        f"stopwaitsecs={program.stop_seconds}",
        "killasgroup=true",
        f"stdout_logfile={home.logs / f'{program.name}.log'}",
        "stdout_logfile_maxbytes=10MB",
        "stdout_logfile_backups=3",
    ]
    if program.own_error_log:
        lines += [
            f"stderr_logfile={home.logs / f'{program.name}-error.log'}",
            "stderr_logfile_maxbytes=10MB",
            "stderr_logfile_backups=3",
        ]
    else:
        lines.append("redirect_stderr=true")
    if program.environment:
        pairs = (f'{name}="{value}"' for name, value in program.environment.items())
        lines.append(f"environment={','.join(pairs)}")
    return "\n".join([*lines, ""])
