"""What every benchmark shares: both sides, the alternation, the load, the CPU, the table."""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.live.stack import Stack, wait_for
from tests.ports import free_port

PAIRS = 5
SECONDS = 3
CLIENTS = 16
_TICK = os.sysconf("SC_CLK_TCK")
_LATENCY = re.compile(r"^\s+99%\s+([\d.]+)(us|ms|s)\s*$", re.MULTILINE)
_REQUESTS = re.compile(r"(\d+) requests in ([\d.]+)(ms|s)")
_WRONG = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")
_UNIT = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class WrongAnswerError(Exception):
    """A side answered something that is not a success: its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured round: requests per second, 99th percentile in ms, CPU in µs per request."""

    rate: float
    p99: float
    cpu: float


@dataclass(slots=True)
class Side:
    """One of the two compared: a name, how it is asked, and whose CPU counts."""

    name: str
    load: Callable[[], Sample]
    samples: list[Sample] = field(default_factory=list)

    def median(self, figure: str) -> float:
        """The median of ``rate``, ``p99`` or ``cpu``."""
        values: list[float] = [getattr(sample, figure) for sample in self.samples]
        return statistics.median(values)


def alternate(ours: Side, theirs: Side, pairs: int = PAIRS) -> None:
    """Measure A B A B …, after one unmeasured round each that warms both up."""
    ours.load()
    theirs.load()
    for _pair in range(pairs):
        ours.samples.append(ours.load())
        theirs.samples.append(theirs.load())


def ratios(ours: Side, theirs: Side, figure: str = "rate") -> list[float]:
    """Ours divided by theirs, pair by pair."""
    pairs = zip(ours.samples, theirs.samples, strict=True)
    return [getattr(a, figure) / getattr(b, figure) for a, b in pairs]


def spread(values: Sequence[float]) -> str:
    """``median (least - most)``."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} - {max(values):.2f})"


def row(what: str, ours: Side, theirs: Side, goal: str) -> str:
    """One line of a Markdown table."""
    return (
        f"| {what} | {theirs.name} | {spread(ratios(ours, theirs))} | {goal} "
        f"| {ours.median('rate'):.0f} / {theirs.median('rate'):.0f} "
        f"| {ours.median('p99'):.1f} / {theirs.median('p99'):.1f} "
        f"| {ours.median('cpu'):.0f} / {theirs.median('cpu'):.0f} |"
    )


HEAD = (
    "| What | Against | Ratio of rates, median (range) | Goal | Requests/s, ours / theirs "
    "| p99 in ms | CPU in µs per request |\n|---|---|---|---|---|---|---|"
)


def wrk(url: str, pids: Callable[[], list[int]], *, token: str = "", basic: str = "") -> Sample:
    """GET one URL over and over with 16 clients and count the CPU of these processes."""
    command = [
        "wrk",
        "-t",
        "2",
        "-c",
        str(CLIENTS),
        "-d",
        f"{SECONDS}s",
        "--timeout",
        "30s",
        "--latency",
    ]
    for header in _headers(token, basic):
        command += ["-H", header]
    before = cpu_seconds(pids())
    output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pids()) - before
    wrong = _WRONG.search(output)
    if wrong is not None:
        raise WrongAnswerError(f"{url}: {wrong[0]}")
    count, seconds, unit = _found(_REQUESTS, output)
    latency, latency_unit = _found(_LATENCY, output)
    return Sample(
        rate=int(count) / (float(seconds) * _UNIT[unit] / 1e3),
        p99=float(latency) * _UNIT[latency_unit],
        cpu=used * 1e6 / int(count),
    )


def ab(url: str, pids: Callable[[], list[int]], *, token: str = "") -> Sample:
    """HEAD one URL over and over with 16 clients; wrk waits for a body that never comes."""
    command = ["ab", "-q", "-k", "-i", "-c", str(CLIENTS), "-t", str(SECONDS), "-n", "10000000"]
    for header in _headers(token, ""):
        command += ["-H", header]
    before = cpu_seconds(pids())
    output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pids()) - before
    if "Non-2xx" in output or "Failed requests:        0" not in output:
        raise WrongAnswerError(f"{url}: {output}")
    (count,) = _found(re.compile(r"Complete requests:\s+(\d+)"), output)
    (rate,) = _found(re.compile(r"Requests per second:\s+([\d.]+)"), output)
    (p99,) = _found(re.compile(r"^\s+99%\s+(\d+)$", re.MULTILINE), output)
    return Sample(rate=float(rate), p99=float(p99), cpu=used * 1e6 / int(count))


def _headers(token: str, basic: str) -> list[str]:
    headers = ["Accept: application/vnd.oci.image.manifest.v1+json"]
    if token:
        headers.append(f"Authorization: Bearer {token}")
    if basic:
        headers.append(f"Authorization: Basic {basic}")
    return headers


def _found(pattern: re.Pattern[str], output: str) -> tuple[str, ...]:
    match = pattern.search(output)
    if match is None:
        raise WrongAnswerError(output)
    return match.groups()


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of processes so far, from ``/proc``."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def pss_mebibytes(pids: Sequence[int]) -> float:
    """Proportional set size of processes, from ``/proc``."""
    total = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(_found(re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE), rollup)[0])
    return total / 1024


@contextmanager
def moorage(**settings: str) -> Iterator[Stack]:
    """A Moorage of its own, started as its user starts it."""
    directory = Path(tempfile.mkdtemp(prefix="moorage-bench-"))
    stack = Stack(directory / "home", port=None, **settings)
    try:
        yield stack.start()
    finally:
        stack.stop()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def bare_registry(root: Path | None = None, *, gogc: str = "") -> Iterator["BareRegistry"]:
    """Debian's docker-registry as it comes, without authentication; GOGC where it is given."""
    directory = Path(tempfile.mkdtemp(prefix="moorage-bench-registry-"))
    port = free_port()
    configuration = directory / "registry.yml"
    configuration.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage:\n  filesystem: {{rootdirectory: {root or directory / 'data'}}}\n"
        "  delete: {enabled: true}\n  redirect: {disable: true}\n"
        f"http: {{addr: '127.0.0.1:{port}', secret: benchmark, relativeurls: true}}\n"
    )
    process = subprocess.Popen(
        ["docker-registry", "serve", configuration],
        env=os.environ | ({"GOGC": gogc} if gogc else {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    registry = BareRegistry(f"http://127.0.0.1:{port}", process.pid)
    try:
        wait_for(registry.is_up, "the registry")
        yield registry
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class BareRegistry:
    """A running registry."""

    url: str
    pid: int

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            return requests.get(f"{self.url}/v2/", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def pids(self) -> list[int]:
        """Its one process."""
        return [self.pid]


def serving(stack: Stack) -> list[int]:
    """The processes that answer /v2: nginx, gateway and registry."""
    return [
        pid
        for pid, command in stack.processes().items()
        if re.search(r"nginx|docker-registry", command) or _is_gateway(pid)
    ]


def _is_gateway(pid: int) -> bool:
    try:
        return b"portal.gateway_settings" in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def emit(name: str, title: str, lines: Sequence[str], note: str = "") -> None:
    """Print the Markdown table and one line of JSON for machines."""
    text = "\n".join([f"## {title}", "", *([note, ""] if note else []), *lines, ""])
    print(text)
    print(json.dumps({"name": name, "time": int(time.time()), "rows": list(lines)}))
