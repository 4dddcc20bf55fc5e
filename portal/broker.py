"""Kombu's filesystem transport, with messages that are written and taken whole.

Its own writes a message's file under its final name piece by piece, and moves it to the machine's
temporary directory to read it: a reader in between gets half a message and its worker ends.
"""

import contextlib
import uuid
from pathlib import Path
from queue import Empty
from time import time_ns
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads


class Channel(filesystem.Channel):
    """One file per message, renamed into place and out of it."""

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:  # type: ignore[override] # kombu's two bases name it differently
        folder = Path(self.data_folder_out)
        name = f"{time_ns()}_{uuid.uuid4().hex}.{queue}.msg"
        unfinished = folder / f".{name}.new"
        unfinished.write_text(dumps(message))
        unfinished.rename(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        folder = Path(self.data_folder_in)
        for path in sorted(folder.glob(f"[!.]*.{queue}.msg")):
            # A queue's name may end with another's.
            if path.name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = folder / f".{path.name}.taken"
            # Another worker may have been faster.
            with contextlib.suppress(FileNotFoundError):
                path.rename(taken)
                content = taken.read_text()
                taken.unlink()
                return loads(content)
        raise Empty


class Transport(filesystem.Transport):
    """The transport of ``filesystem://``."""

    Channel = Channel
