"""Compile every translation (.po) whose compiled form (.mo) is missing or older.

The compiled files are not kept in git, and no gettext tools are needed for them.
"""

from pathlib import Path

import polib

LOCALE = Path(__file__).resolve().parent.parent / "locale"


def is_stale(source: Path, compiled: Path) -> bool:
    """True where the compiled file is missing or older than its source."""
    return not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime


def main() -> None:
    """Compile what changed."""
    for source in sorted(LOCALE.glob("*/LC_MESSAGES/*.po")):
        compiled = source.with_suffix(".mo")
        if is_stale(source, compiled):
            # Written aside and renamed: a process that starts meanwhile never reads half a file.
            partial = compiled.with_suffix(".mo.partial")
            polib.pofile(str(source)).save_as_mofile(str(partial))
            partial.replace(compiled)


if __name__ == "__main__":
    main()
