"""P3: blob GET by X-Accel against the registry; a 1 GiB push against nginx's own proxy."""

import hashlib
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urljoin

import requests

from bench.harness import (
    HEAD,
    Side,
    alternate,
    bare_registry,
    emit,
    moorage,
    row,
    serving,
    spread,
    wrk,
)
from bench.images import push
from tests.live.stack import wait_for
from tests.ports import free_port

SIZES = {"400 KiB": (400 * 1024, "≥ 4"), "32 MiB": (32 * 1024 * 1024, "≥ 0.9")}
GIBIBYTE = 1024**3
PUSHES = 5


def main() -> None:
    """Measure pulls, then pushes."""
    lines = [HEAD]
    with moorage() as stack, bare_registry() as registry, proxy(registry.url) as proxied:
        for what, (size, goal) in SIZES.items():
            name = f"library/bench{size}"
            token = stack.token(f"repository:{name}:pull,push")
            image = push(stack.url, name, token=token, size=size)
            push(registry.url, name, size=size)
            path = f"/v2/{name}/blobs/{image.layer}"
            ask = partial(wrk, stack.url + path, partial(serving, stack), token=token)
            peers = (("registry", registry.url), ("nginx proxy_pass to the registry", proxied))
            for peer, url in peers:
                ours = Side("Moorage", ask)
                theirs = Side(peer, partial(wrk, url + path, registry.pids))
                alternate(ours, theirs)
                lines.append(row(f"blob GET, {what}", ours, theirs, goal))
        token = stack.token("repository:library/big:pull,push")
        rates: tuple[list[float], list[float]] = ([], [])
        for number in range(PUSHES):
            rates[0].append(_push(stack.url, token, number))
            rates[1].append(_push(proxied, "", number))
    ratio = spread([a / b for a, b in zip(*rates, strict=True)])
    ours_rate, theirs_rate = (statistics.median(side) for side in rates)
    lines.append(
        f"| push of 1 GiB | nginx proxy_pass to the registry | {ratio} | ≥ 0.95 "
        f"| {ours_rate:.0f} / {theirs_rate:.0f} MiB/s | | |"
    )
    emit("P3", "P3: blobs", lines)


def _push(url: str, token: str, number: int) -> float:
    """Push 1 GiB in one PATCH; return MiB/s of the PATCH and the PUT."""
    session = requests.Session()
    session.trust_env = False
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
    block = bytes([number]) * 1024 * 1024
    digest = hashlib.sha256()
    for _ in range(1024):
        digest.update(block)
    started = session.post(f"{url}/v2/library/big/blobs/uploads/", timeout=60)
    started.raise_for_status()
    before = time.perf_counter()
    patched = session.patch(
        urljoin(url, started.headers["Location"]), data=(block for _ in range(1024)), timeout=600
    )
    patched.raise_for_status()
    location = urljoin(url, patched.headers["Location"])
    session.put(f"{location}&digest=sha256:{digest.hexdigest()}", timeout=600).raise_for_status()
    return 1024 / (time.perf_counter() - before)


@contextmanager
def proxy(upstream: str, *, directives: str = "proxy_buffering off;") -> Iterator[str]:
    """A plain nginx in front of the registry, with Moorage's buffers and these directives."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="moorage-bench-nginx-") as directory:
        paths = "".join(
            f"{kind}_temp_path {directory}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration = Path(directory) / "nginx.conf"
        configuration.write_text(
            f"daemon off; worker_processes 2; pid {directory}/pid; error_log stderr crit;"
            "events { worker_connections 1024; }"
            f"http {{ {paths} access_log off; client_max_body_size 0; proxy_http_version 1.1;"
            "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;"
            f"upstream registry {{ server {upstream.removeprefix('http://')}; keepalive 16; }}"
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://registry;"
            'proxy_set_header Connection ""; proxy_set_header Host $http_host;'
            f"proxy_request_buffering off; {directives} }}}}}}"
        )
        process = subprocess.Popen(
            ["nginx", "-p", directory, "-e", "stderr", "-c", str(configuration)],
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: _answers(url), "nginx")
            yield url
        finally:
            process.terminate()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/v2/", timeout=2).ok
    except requests.RequestException:
        return False


if __name__ == "__main__":
    main()
