"""Runs ``child`` on a stream, and holds it to its time."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

import orjson

from registry_sync.layers.entries import LayerError

_ROOT = Path(__file__).resolve().parents[2]
_CHUNK = 1024 * 1024
# What a child may answer: the frames of two million entries are a tenth of it.
_MOST = 1024 * 1024 * 1024
_SECONDS = 600.0


def run_child(
    arguments: Sequence[str],
    source: BinaryIO,
    *,
    check: Callable[[], None] = lambda: None,
    seconds: float = _SECONDS,
) -> tuple[dict[str, Any], bytes]:
    """Return what the child says of the stream: its line, and the bytes after it.

    ``check`` is called a few times a second and may raise to end it. Raises ``LayerError`` where
    the layer cannot be read within the limits.
    """
    # Nothing of our environment: it holds keys, and the child reads what strangers wrote.
    process = subprocess.Popen(
        [sys.executable, "-s", "-m", "registry_sync.layers.child", *arguments],
        cwd=_ROOT,
        env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
        # Unbuffered: a child that is gone is noticed at the next write.
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        answer = _talk(process, source, check, time.monotonic() + seconds)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            # What was not written any more is of no interest.
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
    line, _newline, rest = answer.partition(b"\n")
    if not line:
        raise LayerError("reading it took more memory or time than it may")
    facts: dict[str, Any] = orjson.loads(line)
    if "error" in facts:
        raise LayerError(facts["error"])
    return facts, rest


def _talk(
    process: "subprocess.Popen[bytes]", source: BinaryIO, check: Callable[[], None], end: float
) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the child was started without pipes")
    answer = bytearray()
    problems: list[Exception] = []
    reader = threading.Thread(target=_collect, args=(process.stdout, answer), daemon=True)
    writer = threading.Thread(target=_feed, args=(source, process.stdin, problems), daemon=True)
    reader.start()
    writer.start()
    try:
        while reader.is_alive():
            reader.join(0.2)
            check()
            if time.monotonic() > end:
                raise LayerError("reading it took longer than it may")
    finally:
        process.kill()
        writer.join()
    if problems:
        raise problems[0]
    return bytes(answer)


def _collect(pipe: IO[bytes], answer: bytearray) -> None:
    while chunk := pipe.read(_CHUNK):
        if len(answer) + len(chunk) > _MOST:
            answer.clear()
            return
        answer += chunk


def _feed(source: BinaryIO, pipe: IO[bytes], problems: list[Exception]) -> None:
    try:
        while chunk := source.read(_CHUNK):
            try:
                pipe.write(chunk)
            except BrokenPipeError:
                return  # The child has seen enough.
    except Exception as error:
        # The layer broke off on our side: that is no fault of the layer's.
        problems.append(error)
    finally:
        with contextlib.suppress(OSError):
            pipe.close()
