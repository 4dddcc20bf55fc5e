"""Runs the OCI distribution-spec conformance suite against a Moorage of its own.

``make conformance`` builds the suite (a Go module, pinned), starts Moorage as a user does, lets
the suite push, pull and delete in a private project through nginx with a password, and writes
``docs/conformance.md``. Exit status 1 when a case fails, 2 when Go is missing.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.live.stack import ROOT, Stack

MODULE = "github.com/opencontainers/distribution-spec/conformance"
VERSION = "v0.0.0-20260831232431-97274622c111"
CACHE = ROOT / ".cache" / "conformance"
REPORT = ROOT / "docs" / "conformance.md"
PROJECT = "conformance"
_LINE = re.compile(r"^  ([A-Z][\w ]+?)\.{2,}: +([A-Z][A-Za-z]+)$")

# What the suite leaves out, and why.
REASONS = {
    "Blob upload cancel": "optional; 2.8 wants a right for it that pushing does not give",
    "Blob post only": "optional; the registry answers 202 and the client goes on with PUT",
    "Blob anonymous mount": "optional; without a source nothing is mounted, so that nobody "
    "learns which blobs exist",
    "Blob delete": "405: only garbage collection removes blobs",
    "Blob delete atomic": "405: only garbage collection removes blobs",
    "Manifest put with tag params": "not part of specification 1.1",
    "Tag Param": "not part of specification 1.1",
    "Tag Param sha512": "not part of specification 1.1",
    "Blobs sha512": "sha256 only: 2.8 stores another digest under a second name",
    "Digest Algorithm sha512": "sha256 only: 2.8 stores another digest under a second name",
    "Sparse Manifests": "optional; an index's manifests must be there",
}


def build() -> Path:
    """Build the pinned suite, once. Raises ``CalledProcessError`` where it cannot be built."""
    binary = CACHE / f"conformance-{VERSION}"
    if not binary.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / "go.mod").write_text("module moorage.example/conformance\n\ngo 1.24\n")
        subprocess.run(["go", "get", f"{MODULE}@{VERSION}"], cwd=CACHE, check=True)
        subprocess.run(["go", "build", "-o", binary, MODULE], cwd=CACHE, check=True)
    return binary


def run(binary: Path, stack: Stack, results: Path) -> str:
    """Run the suite and return what it printed."""
    project = {"project_name": PROJECT, "metadata": {"public": "false"}}
    made = stack.request(
        "POST", "/api/v2.0/projects", json=project, auth=("admin", stack.admin_password)
    )
    made.raise_for_status()
    environment = os.environ | {
        "OCI_REGISTRY": stack.address,
        "OCI_TLS": "disabled",
        "OCI_REPO1": f"{PROJECT}/one",
        "OCI_REPO2": f"{PROJECT}/two",
        "OCI_USERNAME": "admin",
        "OCI_PASSWORD": stack.admin_password,
        "OCI_VERSION": "1.1",
        "OCI_DATA_SHA512": "false",
        "OCI_RESULTS_DIR": str(results),
        "OCI_LOG": "error",
    }
    suite = subprocess.run(
        [binary], env=environment, cwd=results, capture_output=True, text=True, check=False
    )
    return suite.stdout + suite.stderr


def report(output: str) -> tuple[str, int]:
    """Return the table as Markdown, and how many lines of it failed."""
    rows = [match.groups() for line in output.splitlines() if (match := _LINE.match(line))]
    failed = sum(result not in {"Pass", "Skip", "Disabled"} for _name, result in rows)
    lines = [
        "# OCI distribution-spec conformance",
        "",
        "Written by `make conformance`: the suite of the specification's authors "
        f"(`{MODULE}` at `{VERSION}`, specification 1.1), through nginx, with a password, in a "
        "private project.",
        "",
        "| Group | Result | Note |",
        "|---|---|---|",
        *(
            f"| {name} | {result} | {REASONS.get(name, '') if result != 'Pass' else ''} |"
            for name, result in rows
        ),
        "",
    ]
    return "\n".join(lines), failed if rows else 1


def main() -> int:
    """Build, start, run, write."""
    if shutil.which("go") is None:
        print("moorage: the conformance suite is written in Go; install Go 1.24 or newer.")
        print("moorage: the same cases stand in tests/live/ and run with make test.")
        return 2
    binary = build()
    with tempfile.TemporaryDirectory(prefix="moorage-conformance-") as directory:
        stack = Stack(Path(directory) / "home").start()
        try:
            results = Path(directory) / "results"
            results.mkdir()
            output = run(binary, stack, results)
        finally:
            stack.stop()
    text, failed = report(output)
    REPORT.write_text(text)
    print(output if failed else f"moorage: all groups passed or are optional; see {REPORT}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
