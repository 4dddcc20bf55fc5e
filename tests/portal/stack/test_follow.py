"""nginx is told when one of its upstreams has another address."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portal.stack import follow

# Notes every HUP and ends at the second, so that nothing has to be waited for.
CHILD = """
import pathlib, signal, sys
left = [2]
def noted(*_):
    left[0] -= 1
    with pathlib.Path(sys.argv[1]).open("a") as file: file.write("hup\\n")
    if not left[0]: sys.exit(7)
signal.signal(signal.SIGHUP, noted)
pathlib.Path(sys.argv[1]).write_text("")
while True: signal.pause()
"""


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that says what each next look-up finds; the last answer stays."""

    def answer(*addresses: str) -> None:
        left = list(addresses)

        def find(name: str, *_: object, **__: object) -> list[Any]:
            found = left.pop(0) if len(left) > 1 else left[0]
            if not found:
                raise socket.gaierror(name)
            return [(None, None, 6, "", (found, 0))]

        monkeypatch.setattr("portal.stack.follow.socket.getaddrinfo", find)

    monkeypatch.setattr("portal.stack.follow._SECONDS", 0.3)
    return answer


def test_a_name_that_leads_nowhere(resolver: Callable[..., None]) -> None:
    resolver("")
    assert follow.addresses(["gateway"]) is None


def test_it_waits_for_all_names(resolver: Callable[..., None]) -> None:
    resolver("", "", "10.0.0.2")
    assert follow.wait_for(["gateway"]) == {"gateway": frozenset({"10.0.0.2"})}


@pytest.fixture
def handlers() -> Any:
    """Leave pytest's own handlers as they were."""
    kept = {signum: signal.getsignal(signum) for signum in follow._FORWARDED}
    yield
    for signum, handler in kept.items():
        signal.signal(signum, handler)


@pytest.mark.usefixtures("handlers")
def test_a_new_address_is_told_and_a_lost_one_is_not(
    resolver: Callable[..., None], tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    # Known at first; the same; lost; moved; the same; moved back.
    resolver("10.0.0.2", "10.0.0.2", "", "10.0.0.3", "10.0.0.3", "10.0.0.2")
    status = follow.main(["gateway"], [sys.executable, "-c", CHILD, str(notes)])
    assert status == 7
    assert notes.read_text() == "hup\nhup\n"


def test_it_stops_what_it_runs() -> None:
    command = [sys.executable, "-IS", follow.__file__, "localhost"]
    script = (
        "import signal, sys, time; signal.signal(signal.SIGQUIT, lambda *_: sys.exit(5));"
        "print('up', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([*command, sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGQUIT)
    assert process.wait(timeout=10) == 5
    process.stdout.close()
