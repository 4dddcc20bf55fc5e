"""Become a program, after ending what an earlier run of it left behind.

supervisor starts every program through this file:

    python launch.py RUN_DIRECTORY NAME COMMAND…

The master of a program that is killed cannot end its own workers; they would keep its port and
block the restart. So each run notes its process group, and the next one ends what is left of it.
The program replaces this process: nothing stays between it and supervisor. Only the standard
library is imported, and nothing of the project, so that this costs milliseconds.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PATIENCE = 5.0


def end_leftovers(run: Path, name: str) -> None:
    """Kill what is left of the program's last noted run, and wait until it is gone."""
    try:
        group = int((run / f"{name}.pid").read_text())
    except (OSError, ValueError):
        return
    deadline = time.monotonic() + _PATIENCE
    while left := _members(group, run / name):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _members(group: int, directory: Path) -> list[int]:
    """Return the group's processes that run in the program's own directory.

    The directory tells them from strangers that were given the same numbers later.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        # A process that is gone meanwhile, or another user's, is none of ours.
        with contextlib.suppress(OSError):
            # The second word, the name, is in parentheses and may hold anything.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and (entry / "cwd").readlink() == directory:
                found.append(int(entry.name))
    return found


def die_with_parent() -> None:
    """Ask the kernel to end this process when supervisor dies; it survives the exec."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("supervisor is gone")


def main(run: Path, name: str, command: list[str]) -> None:
    """Note the process group, go to the program's directory and become the program."""
    die_with_parent()
    end_leftovers(run, name)
    with contextlib.suppress(PermissionError):
        os.setpgid(0, 0)
    # Whoever reads it meanwhile finds the old number or the new one.
    note = run / f"{name}.pid.new"
    note.write_text(f"{os.getpgid(0)}\n")
    note.replace(run / f"{name}.pid")
    os.chdir(run / name)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is what is wanted
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
