"""P11: index one large gzip layer, against unzipping it; and the merge of what was read."""

import resource
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.harness import emit
from registry_sync.layers import analysis, compare, index
from registry_sync.layers.entries import Directory
from registry_sync.layers.process import run_child

PAIRS = 5
UNPACKED = 1_500_000_000
# Directories with many real files; what is not there is left out.
PLACES = ("usr/lib/python3", "usr/share", "usr/include", "usr/lib")


def main() -> None:
    """Make a layer of about 1.5 GB of this machine's files; unzip and index it in turn."""
    with tempfile.TemporaryDirectory() as directory:
        layer = _layer(Path(directory))
        size = layer.stat().st_size
        gzip_seconds, index_seconds, ratios = [], [], []
        facts: dict[str, Any] = {}
        frames = b""
        for _pair in range(PAIRS):
            began = time.perf_counter()
            subprocess.run(["gzip", "-dc", layer], stdout=subprocess.DEVNULL, check=True)
            unzipped = time.perf_counter()
            with layer.open("rb") as source:
                facts, frames = run_child(["index", str(size)], source)
            indexed = time.perf_counter()
            gzip_seconds.append(unzipped - began)
            index_seconds.append(indexed - unzipped)
            ratios.append(index_seconds[-1] / gzip_seconds[-1])
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        merge, both = _merge(facts, frames)
    summary = facts["summary"]
    lines = [
        f"One layer of {size / 1e6:.0f} MB gzip, {summary['archive_bytes'] / 1e9:.2f} GB tar, "
        f"{summary['entries']} entries; {PAIRS} pairs.",
        "",
        "| Work | Goal | Median | Range |",
        "|---|---|---|---|",
        f"| `gzip -dc` | | {median(gzip_seconds):.1f} s "
        f"| {min(gzip_seconds):.1f} - {max(gzip_seconds):.1f} s |",
        "| index: unzip, headers, SHA-256 of each file, secrets, packages, frames | "
        f"| {median(index_seconds):.1f} s "
        f"| {min(index_seconds):.1f} - {max(index_seconds):.1f} s |",
        f"| ratio | ≤ 1.0 | **{median(ratios):.2f}** | {min(ratios):.2f} - {max(ratios):.2f} |",
        f"| index in frames | | {len(frames) / 1e6:.1f} MB "
        f"| {len(frames) / summary['entries']:.0f} B an entry |",
        f"| most memory of a child | | {peak} MiB | |",
        f"| analysis of an image with this layer | | {merge:.1f} s | |",
        f"| comparison of two such images | ≤ 3 s | {both:.1f} s | |",
    ]
    emit("P11", "P11: layers", lines)


def _layer(directory: Path) -> Path:
    """Pack whole files until there are 1.5 GB."""
    names, size = [], 0
    for place in PLACES:
        for path in sorted(Path("/", place).rglob("*")):
            if size > UNPACKED:
                break
            names.append(str(path.relative_to("/")))
            size += path.lstat().st_size
    listed = directory / "names"
    listed.write_text("\n".join(names))
    target = directory / "layer.tar.gz"
    command: list[str | Path] = ["tar", "czf", target, "-C", "/", "--no-recursion", "-T", listed]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return target


def _merge(facts: dict[str, Any], frames: bytes) -> tuple[float, float]:
    """Time the analysis, and the comparison of the layer with itself."""

    def directories() -> list[Directory]:
        parts, at = [], 0
        for length in facts["frames"]:
            parts += index.unpack(frames[at : at + length])
            at += length
        return list(index.joined(parts))

    began = time.perf_counter()
    analysis.analyse([directories()], [{}])
    analysed = time.perf_counter()
    compare.compare_files([directories()], [directories()])
    return analysed - began, time.perf_counter() - analysed


if __name__ == "__main__":
    main()
