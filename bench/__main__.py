"""Runs every benchmark, one after another, and writes docs/benchmarks.md."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "benchmarks.md"
SCRIPTS = sorted(path.stem for path in (ROOT / "bench").glob("p[0-9]*.py"))


def main() -> int:
    """Run those named on the command line (p02 …), or all."""
    chosen = [name for name in SCRIPTS if not sys.argv[1:] or name[:3] in sys.argv[1:]]
    sections = []
    for name in chosen:
        result = subprocess.run(
            [sys.executable, "-m", f"bench.{name}"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        if result.returncode:
            return result.returncode
        print(result.stdout)
        sections.append(
            "\n".join(line for line in result.stdout.splitlines() if not line.startswith("{"))
        )
    if len(chosen) == len(SCRIPTS):
        REPORT.write_text("\n".join([_head(), *sections]))
    return 0


def _head() -> str:
    version = subprocess.run(
        ["docker-registry", "--version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, "
            f"{platform.platform()}, Python {platform.python_version()}.",
            "",
            f"The peer is Debian's `docker-registry` ({version}), on its own and without "
            "authentication unless said. Both sides run on this machine in the same run and are "
            "measured in turn (A B A B …, five pairs after a warm-up), with the load generator on "
            "the same cores. A ratio is ours divided by theirs. CPU is that of all processes that "
            "answer: for Moorage nginx, gateway and registry.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
