"""The proxy cache: a first pull against the upstream itself, a second against a local image.

Pulled as docker does, a manifest and then three layers at a time (`curl --parallel`), through the
mirror's listener, which asks for no token; the upstream and the local image are asked with none and
with one that is fetched before. 20 clients that want one missing image are counted by the
upstream's own log.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from bench.harness import WrongAnswerError, emit, moorage, spread
from bench.images import push_contents
from portal.demo.images import MANIFEST, digest_of, filler
from tests.live.mirroring import PROJECT, prepare
from tests.live.plain_registry import PlainRegistry
from tests.live.stack import free_port

MIB = 1024 * 1024
# Of each of the image's layers; smaller on the command line, for a first look.
LAYER_MIB = int(sys.argv[1]) if len(sys.argv) > 1 else 64
PAIRS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
LAYERS = 4
CLIENTS = 20
_AT_A_TIME = 3


def main() -> None:
    """Measure first and second pulls in turn, then count."""
    settings = {
        "MOORAGE_OUTBOUND_ALLOW": "127.0.0.0/8",
        "MOORAGE_MIRROR_PORT": str(free_port()),
        "MOORAGE_MIRROR_PROJECT": PROJECT,
    }
    with tempfile.TemporaryDirectory() as name, moorage(**settings) as stack:
        upstream = PlainRegistry(Path(name)).start()
        try:
            mirror = f"http://{prepare(stack, upstream).address}"
            token = stack.token("repository:library/bench:pull,push")
            times: dict[str, list[float]] = {"first": [], "direct": [], "second": [], "local": []}
            for number in range(-1, PAIRS):
                image = f"library/bench{number}"
                contents = _contents(number)
                push_contents(upstream.url, image, "1", contents)
                push_contents(stack.url, "library/bench", str(number), contents, token=token)
                took = {
                    "direct": _pull(upstream.url, image, "1"),
                    "first": _pull(mirror, image, "1"),
                    "local": _pull(stack.url, "library/bench", str(number), token=token),
                    "second": _pull(mirror, image, "1"),
                }
                # The first round warms everything up.
                if number >= 0:
                    for what, seconds in took.items():
                        times[what].append(seconds)
            counted = _count(upstream, mirror)
        finally:
            upstream.stop()
    lines = [
        "| What | Against | Ratio of rates, median (range) | Goal | Seconds, ours / theirs |",
        "|---|---|---|---|---|",
        _row("first pull", "the upstream directly", times["first"], times["direct"], "≥ 0.8"),
        _row("second pull", "a local image", times["second"], times["local"], "≥ 0.95"),
        f"| {CLIENTS} clients, one missing image | | {counted} | 1 | |",
    ]
    note = f"An image of {LAYERS} × {LAYER_MIB} MiB, all on one machine, {PAIRS} pairs."
    emit("p16", "P16: proxy cache", lines, note)


def _contents(number: int) -> list[bytes]:
    return [filler(f"proxy {number} {layer}", LAYER_MIB * MIB) for layer in range(LAYERS)]


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
                *("--parallel-max", str(_AT_A_TIME), "-w", "%{size_download}\n", "-K", str(wanted)),
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


def _count(upstream: PlainRegistry, mirror: str) -> str:
    """Let many clients pull one missing image at once; return how often each part was fetched."""
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
