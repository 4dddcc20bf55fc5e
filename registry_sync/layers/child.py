"""The process that reads a stranger's layer: little memory, little time, no files, no network.

``python -m registry_sync.layers.child index SIZE`` reads a layer from standard input and writes a
line of JSON and then the frames; ``… preview SIZE PATH LIMIT`` writes a line and the beginning of
one file.
"""

import contextlib
import os
import resource
import sys
from typing import BinaryIO

import orjson

from registry_sync.layers import index
from registry_sync.layers.compression import unpacked
from registry_sync.layers.entries import FILE, LayerError
from registry_sync.layers.index import Limits
from registry_sync.layers.tar import TarReader

MEMORY = 3 * 1024**3
CPU_SECONDS = 600


def main(arguments: list[str]) -> int:
    """Do as told; what is wrong with the layer is an answer too."""
    _confine()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    try:
        if arguments[0] == "index":
            _index(source, target, int(arguments[1]))
        else:
            _preview(source, target, int(arguments[1]), arguments[2], int(arguments[3]))
    except LayerError as error:
        _answer(target, {"error": str(error)})
    except MemoryError:
        _answer(target, {"error": "it needs more memory than it may have"})
    except Exception as error:
        # Decompressors have errors of their own for a damaged stream.
        _answer(target, {"error": f"it is damaged ({type(error).__name__})"})
    return 0


def _confine() -> None:
    """Give up what reading needs not."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    with contextlib.suppress(OSError):
        os.nice(10)


def _index(source: BinaryIO, target: BinaryIO, size: int) -> None:
    layer = index.read(source, size=size, limits=Limits())
    frames = list(index.frames(layer))
    _answer(
        target,
        {
            "summary": index.summary(layer),
            "secrets": layer.secrets,
            "packages": {
                path: [tuple(package) for package in found]
                for path, found in layer.packages.items()
            },
            "table": [[first, last] for first, last, _data in frames],
            "frames": [len(data) for _first, _last, data in frames],
        },
    )
    for _first, _last, data in frames:
        target.write(data)
    target.flush()


def _preview(source: BinaryIO, target: BinaryIO, size: int, path: str, limit: int) -> None:
    limits = Limits()
    most = max(limits.ratio_from, size * limits.ratio)
    reader = TarReader(unpacked(source), max_bytes=min(limits.unpacked_bytes, most))
    found: bytes | None = None
    for member in reader.members():
        name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
        if name != path or member.type != FILE:
            continue
        found = b""
        for chunk in reader.content():
            found += chunk[: limit - len(found)]
            if len(found) >= limit:
                break
        break
    if found is None:
        raise LayerError("it has no such file")
    _answer(target, {"size": len(found)})
    target.write(found)
    target.flush()


def _answer(target: BinaryIO, facts: dict[str, object]) -> None:
    target.write(orjson.dumps(facts) + b"\n")
    target.flush()


if __name__ == "__main__":
    # At once: nothing to clean up, and a threaded reader may still wait for its next block.
    status = main(sys.argv[1:])
    os._exit(status)
