"""Harbor's client libraries, unmodified and in an environment of their own, for the live tests."""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.live.stack import PATIENCE, ROOT, Stack

PYTHON = ROOT / ".venv-clients" / "bin" / "python"
DRIVER = Path(__file__).resolve().parent.parent / "clients" / "driver.py"


class ClientError(Exception):
    """What a library raised, with the HTTP status it tells of."""

    def __init__(self, name: str, status: int, message: str) -> None:
        """Keep it."""
        super().__init__(f"{name} {status}: {message}")
        self.name, self.status, self.message = name, status, message


def model(kind: str, /, **fields: Any) -> dict[str, Any]:
    """An object of the library's own class."""
    return {"model": kind, "fields": fields}


def number(location: str) -> int:
    """Return the number at the end of what creating answered."""
    return int(location.rstrip("/").rpartition("/")[2])


class HarborClient:
    """One library, signed in as somebody."""

    def __init__(
        self, library: str, stack: Stack, *, username: str = "admin", password: str = ""
    ) -> None:
        """Start it; ``library`` is ``harborapi`` or ``harbor_client``."""
        assert PYTHON.exists(), "run: make setup"
        self._process = subprocess.Popen(
            [PYTHON, DRIVER, library, f"{stack.url}/api/v2.0", username],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._input.write((password or stack.admin_password) + "\n")

    def call(self, method: str, *positional: Any, **named: Any) -> Any:
        """Call a method and return what it returned. Raises ``ClientError``."""
        call = {"method": method, "positional": positional, "named": named}
        self._input.write(json.dumps(call) + "\n")
        self._input.flush()
        line = self._output.readline()
        assert line, "the driver ended"
        outcome = json.loads(line)
        if "error" in outcome:
            raise ClientError(outcome["error"], outcome["status"], outcome["message"])
        return outcome["result"]

    def __enter__(self) -> "HarborClient":
        """Hand it out."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self._input.close()
        self._process.wait(timeout=PATIENCE)
        self._output.close()
