"""P8: 50 images of 5 layers from one local registry to another, against ``skopeo sync``.

Cold, with nothing to do, and with everything to be mounted from another repository there. Ours is
measured as its user sees it: from the request that starts the run until the run says that it is
over. skopeo reads from a bare registry, which asks for no token. Before either begins, Moorage has
looked into the layers that were pushed to it: that job is the push's, not the copy's.
"""

import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from bench import images
from bench.harness import (
    BareRegistry,
    WrongAnswerError,
    bare_registry,
    cpu_seconds,
    emit,
    moorage,
    spread,
)
from tests.live.stack import Stack, wait_for

# Fewer on the command line, for a first look.
IMAGES = int(sys.argv[1]) if len(sys.argv) > 1 else 50
PAIRS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
LAYERS = 5
LAYER_BYTES = 400 * 1024
PROJECT = "bench"
# Several tags of each, as repositories are.
_TAGS = 5
COLD, IDLE, MOUNTED, REMEMBERED = (
    "cold",
    "nothing to do",
    "everything mounted, skopeo without a memory",
    "everything mounted, skopeo remembering its own copies",
)
GOALS = {COLD: "≥ 2", IDLE: "≥ 5", MOUNTED: "≥ 5", REMEMBERED: ""}


@dataclass(slots=True)
class Times:
    """Seconds, and seconds of CPU of all processes that take part, of each round."""

    wall: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in GOALS})
    cpu: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in GOALS})


class Api:
    """What the administrator asks of Moorage."""

    def __init__(self, stack: Stack) -> None:
        """``stack`` runs."""
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = ("admin", stack.admin_password)
        self._base = f"{stack.url}/api/v2.0"

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        """Send a request; anything but success ends the benchmark."""
        answer = self._session.request(method, f"{self._base}/{path}", json=body, timeout=60)
        if answer.status_code not in {200, 201}:
            raise WrongAnswerError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def policy_to(self, url: str, prefix: str) -> int:
        """Add a registry and a policy that copies there what is below a name."""
        registry = self.ask("POST", "registries", {"name": url, "url": url})
        body = {
            "name": f"to {url}",
            "dest_registry": {"id": int(registry.headers["Location"].rpartition("/")[2])},
            "filters": [{"type": "name", "value": f"{prefix}/**"}],
        }
        made = self.ask("POST", "replication/policies", body)
        return int(made.headers["Location"].rpartition("/")[2])

    def run(self, policy: int, copied: int) -> None:
        """Run a policy to its end."""
        started = self.ask("POST", "replication/executions", {"policy_id": policy})
        path = started.headers["Location"].partition("/v2.0/")[2]
        while (shown := self.ask("GET", path).json())["status"] == "InProgress":
            time.sleep(0.05)
        if (shown["status"], shown["succeed"]) != ("Succeed", copied):
            raise WrongAnswerError(json.dumps(shown))


def main() -> int:
    """Measure both in turn, each round with images of its own and to fresh registries."""
    ours, theirs = Times(), Times()
    with moorage(MOORAGE_OUTBOUND_ALLOW="127.0.0.0/8") as stack, bare_registry() as source:
        api = Api(stack)
        api.ask("POST", "projects", {"project_name": PROJECT})
        for number in range(PAIRS):
            with bare_registry() as there, bare_registry() as there_too:
                _pair(stack, api, source, (there, there_too), f"{PROJECT}/r{number}", ours, theirs)
    lines = [
        "| What | Ratio of times, median (range) | Goal | Seconds, ours / theirs | CPU seconds |",
        "|---|---|---|---|---|",
        *(_row(name, ours, theirs) for name in GOALS),
    ]
    note = (
        f"{IMAGES} images × {LAYERS} layers × {LAYER_BYTES // 1024} KiB, {PAIRS} pairs. CPU is of "
        "all processes of Moorage and the registry there, or of skopeo and both registries."
    )
    emit("p08", "P8: replication against `skopeo sync`", lines, note)
    return 0


def _pair(
    stack: Stack,
    api: Api,
    source: BareRegistry,
    there: tuple[BareRegistry, BareRegistry],
    prefix: str,
    ours: Times,
    theirs: Times,
) -> None:
    """One round of each figure."""
    policy = api.policy_to(there[0].url, prefix)
    mine = _Clock(ours, lambda: [*stack.processes(), there[0].pid])
    yours = _Clock(theirs, lambda: [source.pid, there[1].pid])
    token = _fill(stack, source, prefix)
    _settle(stack)
    with mine.timed(COLD):
        api.run(policy, IMAGES)
    with yours.timed(COLD):
        _sync(source, there[1], f"{prefix}/base")
    with mine.timed(IDLE):
        api.run(policy, 0)
    with yours.timed(IDLE):
        _sync(source, there[1], f"{prefix}/base")
    _fill_again(stack, source, prefix, token)
    _settle(stack)
    with mine.timed(MOUNTED):
        api.run(policy, IMAGES)
    for rounds in (ours.wall, ours.cpu):
        rounds[REMEMBERED].append(rounds[MOUNTED][-1])
    # By another name it is a registry of which skopeo's cache knows nothing.
    with yours.timed(MOUNTED):
        _sync(source, there[1], f"{prefix}/again", into=f"{prefix}/fresh", host="localhost")
    with yours.timed(REMEMBERED):
        _sync(source, there[1], f"{prefix}/again")


class _Clock:
    """Times rounds of one side."""

    def __init__(self, times: Times, pids: Callable[[], list[int]]) -> None:
        """``pids``: whose CPU counts."""
        self._times = times
        self._pids = pids

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time that the block takes, with that of the programs it starts."""
        before, own = cpu_seconds(self._pids()), os.times()
        began = time.perf_counter()
        yield
        self._times.wall[name].append(time.perf_counter() - began)
        used, after = cpu_seconds(self._pids()) - before, os.times()
        used += after.children_user + after.children_system
        used -= own.children_user + own.children_system
        self._times.cpu[name].append(used)


def _fill(stack: Stack, source: BareRegistry, prefix: str) -> str:
    """Push the images to both sources; return a token for more."""
    names = [_name(prefix, kind, n) for kind in ("base", "again") for n in _repositories()]
    scopes = " ".join(f"repository:{name}:pull,push" for name in names)
    token = stack.token(scopes)
    for number in range(IMAGES):
        contents = [os.urandom(LAYER_BYTES) for _layer in range(LAYERS)]
        name, tag = _name(prefix, "base", number // _TAGS), f"v{number % _TAGS}"
        for url, bearer in ((stack.url, token), (source.url, "")):
            images.push_contents(url, name, tag, contents, token=bearer)
    return token


def _fill_again(stack: Stack, source: BareRegistry, prefix: str, token: str) -> None:
    """Let both sources have the same images under other names, mounted."""
    for url, bearer in ((stack.url, token), (source.url, "")):
        for number in _repositories():
            first, then = (_name(prefix, kind, number) for kind in ("base", "again"))
            tags = range(_TAGS * number, min(IMAGES, _TAGS * (number + 1)))
            for tag in (f"v{image % _TAGS}" for image in tags):
                images.copy_mounted(url, first, then, tag, token=bearer)


_WAITING = """
SELECT (SELECT count(*) FROM accounts_outboxevent WHERE delivered_at IS NULL)
  + (SELECT count(*) FROM registry_sync_imageanalysis WHERE version = 0)
  + (SELECT count(*) FROM registry_sync_execution WHERE finished_at IS NULL)
"""


def _settle(stack: Stack) -> None:
    """Wait until nothing is left of what the pushes have had done."""
    with contextlib.closing(sqlite3.connect(stack.home / "moorage.sqlite3")) as database:
        wait_for(lambda: database.execute(_WAITING).fetchone() == (0,), "the jobs of the pushes")


def _repositories() -> range:
    return range(-(-IMAGES // _TAGS))


def _name(prefix: str, kind: str, number: int) -> str:
    return f"{prefix}/{kind}/app{number}"


def _sync(
    source: BareRegistry,
    there: BareRegistry,
    prefix: str,
    *,
    into: str = "",
    host: str = "127.0.0.1",
) -> None:
    """Have skopeo copy the same images, under the same names or ``into`` others."""
    origin = source.url.removeprefix("http://")
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as wanted:
        lines = [f"{origin}:", "  tls-verify: false", "  images:"]
        lines += [f"    {prefix}/app{number}: []" for number in _repositories()]
        wanted.write("\n".join(lines) + "\n")
        wanted.flush()
        target = f"{host}:{there.url.rpartition(':')[2]}"
        command = ["skopeo", "--insecure-policy", "sync", "--src", "yaml", "--dest", "docker"]
        command += ["--dest-tls-verify=false", wanted.name, f"{target}/{into or prefix}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WrongAnswerError(done.stderr)


def _row(name: str, ours: Times, theirs: Times) -> str:
    pairs = zip(ours.wall[name], theirs.wall[name], strict=True)
    ratio = spread([b / a for a, b in pairs])
    middle = statistics.median
    return (
        f"| {name} | {ratio} | {GOALS[name]} | {middle(ours.wall[name]):.2f} / "
        f"{middle(theirs.wall[name]):.2f} | {middle(ours.cpu[name]):.2f} / "
        f"{middle(theirs.cpu[name]):.2f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
