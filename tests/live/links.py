"""Links between a Moorage and another registry that a test slows down, cuts and heals."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from typing import Protocol

_PART = 16 * 1024


class Link(Protocol):
    """What a test does to one."""

    def cut(self) -> None:
        """Let nothing through."""

    def heal(self) -> None:
        """Let everything through."""


class Proxy:
    """A link of two sockets for each connection; a cut one resets them and takes no new ones."""

    def __init__(self, port: int, *, speed: int) -> None:
        """``port``: where it leads to, on this host; ``speed``: bytes a second, both ways."""
        self._target = ("127.0.0.1", port)
        self._speed = speed
        self._is_cut = False
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection, and each new one."""
        self._is_cut = True
        with self._lock:
            broken, self._sockets = self._sockets, set()
        for end in broken:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """Let everything through again."""
        self._is_cut = False

    def close(self) -> None:
        """End it."""
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                if self._is_cut:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    client.close()
                    continue
                with self._lock:
                    self._sockets |= {client, server}
                threading.Thread(target=self._join, args=(client, server), daemon=True).start()

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._carry, args=(server, client), daemon=True)
        with client, server:
            back.start()
            self._carry(client, server)
            back.join()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(_PART):
                # All connections share the speed.
                with self._lock:
                    time.sleep(len(part) / self._speed)
                target.sendall(part)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def why_no_namespaces() -> str:
    """Say why this machine gives no network namespaces; nothing where it does."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "tc", "iptables") if shutil.which(name) is None]
    if missing:
        return f"{missing[0]} is not installed"
    name = f"moorage-try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if tried.returncode != 0:
        return f"no network namespaces here: {tried.stderr.strip()}"
    _ip("netns", "del", name)
    return ""


class Namespace:
    """A network namespace at the end of a slow cable; a cut one swallows every packet."""

    def __init__(self, *, speed: int) -> None:
        """``speed``: bytes a second towards it."""
        number = os.getpid() % 10_000
        self.name = f"moorage-{number}"
        self._here, inside = f"mrg{number}a", f"mrg{number}b"
        # A private /30 of its own, so that administrators may name it.
        third, fourth = number // 64 % 256, number % 64 * 4
        self.address = f"10.213.{third}.{fourth + 2}"
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self._here, "type", "veth", "peer", inside, "netns", self.name)
            _ip("addr", "add", f"10.213.{third}.{fourth + 1}/30", "dev", self._here)
            _ip("link", "set", self._here, "up")
            _ip("-n", self.name, "addr", "add", f"{self.address}/30", "dev", inside)
            _ip("-n", self.name, "link", "set", inside, "up")
            shape = ("tbf", "rate", f"{speed * 8}bit", "burst", "32kb", "latency", "400ms")
            _run("tc", "qdisc", "add", "dev", self._here, "root", *shape)
        except BaseException:
            self.close()
            raise

    @property
    def prefix(self) -> tuple[str, ...]:
        """What runs a program inside."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Drop whatever comes or goes."""
        self._rules("-A")

    def heal(self) -> None:
        """Let everything through again."""
        self._rules("-D")

    def close(self) -> None:
        """Remove it."""
        _ip("netns", "del", self.name)

    def _rules(self, action: str) -> None:
        for chain in ("INPUT", "OUTPUT"):
            _run(*self.prefix, "iptables", action, chain, "-j", "DROP")


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=20)
