"""The proxy cache: a first pull against the upstream itself, a second against a local image.

Pulled as docker does, a manifest and then three layers at a time (`curl --parallel`), through the
mirror's listener, which asks for no token; the upstream is asked with none, the local image with
one that is fetched before. The upstream is a plain registry on this machine, as it is and behind
lines of a given speed, which nginx keeps for each connection after a second's worth at once. 20
clients that want one missing image are counted by the upstream's own log.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests

from bench.harness import WrongAnswerError, emit, moorage, spread
from bench.images import push_contents
from bench.p03_blobs import proxy
from portal.demo.images import MANIFEST, digest_of, filler
from tests.live.mirroring import PROJECT, Mirrored, prepare
from tests.live.plain_registry import PlainRegistry
from tests.ports import free_port

MIB = 1024 * 1024
# Smaller on the command line, for a first look: of each layer, behind the fastest line.
LAYER_MIB = int(sys.argv[1]) if len(sys.argv) > 1 else 48
PAIRS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
LAYERS = 3
CLIENTS = 20
_AT_A_TIME = 3
# MiB a second of each connection (0: as fast as it goes), and the part of ``LAYER_MIB``.
LINES = {
    "100 Mbit/s": (4, 3 / 8),
    "1 Gbit/s": (40, 1),
    "the same machine": (0, 1),
}


def main() -> None:
    """Measure first and second pulls in turn, then count."""
    settings = {
        "MOORAGE_OUTBOUND_ALLOW": "127.0.0.0/8",
        "MOORAGE_MIRROR_PORT": str(free_port()),
        "MOORAGE_MIRROR_PROJECT": PROJECT,
    }
    rows = []
    with tempfile.TemporaryDirectory() as name, moorage(**settings) as stack:
        upstream = PlainRegistry(Path(name)).start()
        try:
            mirrored = prepare(stack, upstream)
            for line, (rate, part) in LINES.items():
                with _line(mirrored, rate) as url:
                    rows += _measure(mirrored, url, line, max(1, int(LAYER_MIB * part)))
            counted = _count(mirrored)
        finally:
            upstream.stop()
    lines = [
        "| What | Against | Ratio of rates, median (range) | Goal | Seconds, ours / theirs |",
        "|---|---|---|---|---|",
        *rows,
        f"| {CLIENTS} clients, one missing image | | {counted} | 1 | |",
    ]
    note = f"Images of {LAYERS} layers, {PAIRS} pairs after one that is not counted."
    emit("p16", "P16: proxy cache", lines, note)


@contextmanager
def _line(mirrored: Mirrored, rate: int) -> Iterator[str]:
    """Let the upstream be reached over a line of this speed; yield its address there."""
    if not rate:
        _move(mirrored, mirrored.upstream.url)
        yield mirrored.upstream.url
        return
    # nginx keeps the rate of what it buffers only.
    slow = f"limit_rate {rate}m; proxy_max_temp_file_size 0;"
    with proxy(mirrored.upstream.url, directives=slow) as url:
        _move(mirrored, url)
        yield url


def _move(mirrored: Mirrored, url: str) -> None:
    stack = mirrored.stack
    path = f"/api/v2.0/registries/{mirrored.registry_id}"
    auth = ("admin", stack.admin_password)
    stack.request("PUT", path, json={"url": url}, auth=auth).raise_for_status()


def _measure(mirrored: Mirrored, url: str, line: str, size: int) -> list[str]:
    """Pull directly, through the mirror, a local image, and through the mirror again."""
    stack, mirror = mirrored.stack, f"http://{mirrored.address}"
    times: dict[str, list[float]] = {"first": [], "direct": [], "second": [], "local": []}
    for number in range(-1, PAIRS):
        slug = f"{line.replace(' ', '-').replace('/', '').lower()}-r{number}".replace("--", "-m")
        image = f"library/{slug}"
        contents = [filler(f"{image} {layer}", size * MIB) for layer in range(LAYERS)]
        push_contents(mirrored.upstream.url, image, "1", contents)
        took = {"direct": _pull(url, image, "1"), "first": _pull(mirror, image, "1")}
        # Not before: the first pull found the registry without these bytes.
        token = stack.token("repository:library/bench:pull,push")
        push_contents(stack.url, "library/bench", slug, contents, token=token)
        took["local"] = _pull(stack.url, "library/bench", slug, token=token)
        took["second"] = _pull(mirror, image, "1")
        if number >= 0:
            for what, seconds in took.items():
                times[what].append(seconds)
    what = f"pull of {LAYERS} × {size} MiB, upstream at {line}"
    peer = "the upstream directly"
    return [
        _row(f"first {what}", peer, times["first"], times["direct"], "≥ 0.8"),
        _row(f"second {what}", "a local image", times["second"], times["local"], "≥ 0.95"),
    ]


def _pull(url: str, repository: str, tag: str, *, token: str = "") -> float:
    """Pull an image and throw it away; return the seconds it took."""
    headers = {"Accept": MANIFEST} | ({"Authorization": f"Bearer {token}"} if token else {})
    with requests.Session() as session, tempfile.TemporaryDirectory() as folder:
        session.trust_env = False
        before = time.perf_counter()
        found = session.get(f"{url}/v2/{repository}/manifests/{tag}", headers=headers, timeout=120)
        found.raise_for_status()
        document = found.json()
        blobs = [document["config"], *document["layers"]]
        wanted = Path(folder) / "curl"
        lines = [f'header = "Authorization: Bearer {token}"'] if token else []
        for blob in blobs:
            lines.append(f'url = "{url}/v2/{repository}/blobs/{blob["digest"]}"')
            lines.append('output = "/dev/null"')
        wanted.write_text("\n".join(lines))
        done = subprocess.run(
            [
                *("curl", "-sS", "--fail", "--noproxy", "*", "--parallel"),
                *("--parallel-max", str(_AT_A_TIME), "-w", "%{size_download}\\n"),
                *("-K", str(wanted)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.perf_counter() - before
    sizes = sorted(int(line) for line in done.stdout.split())
    if done.returncode or sizes != sorted(blob["size"] for blob in blobs):
        raise WrongAnswerError(f"{url}: {sizes} {done.stderr}")
    return took


def _count(mirrored: Mirrored) -> str:
    """Let many clients pull one missing image at once; say how often each part was fetched."""
    upstream, mirror = mirrored.upstream, f"http://{mirrored.address}"
    content = filler("proxy, wanted by many", 4 * MIB)
    push_contents(upstream.url, "library/wanted", "1", [content])
    before = len(upstream.requests())
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda _n: _pull(mirror, "library/wanted", "1"), range(CLIENTS)))
    fetched = Counter(
        path for method, path, _status in upstream.requests()[before:] if method == "GET"
    )
    layer = fetched[f"/v2/library/wanted/blobs/{digest_of(content)}"]
    return f"the layer fetched {layer} times, any part at most {max(fetched.values())} times"


def _row(what: str, peer: str, ours: list[float], theirs: list[float], goal: str) -> str:
    ratio = spread([b / a for a, b in zip(ours, theirs, strict=True)])
    seconds = f"{statistics.median(ours):.2f} / {statistics.median(theirs):.2f}"
    return f"| {what} | {peer} | {ratio} | {goal} | {seconds} |"


if __name__ == "__main__":
    main()
