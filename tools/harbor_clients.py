"""Writes into docs/harbor-clients.md which methods of Harbor's client libraries the tests call.

``python -m tools.harbor_clients`` after a call was added; a test fails while it is stale.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "docs" / "harbor-clients.md"
LIBRARIES = {"harborapi": "test_harborapi", "harbor-api-client": "test_harbor_api_client"}
_LISTS = "## harborapi: "
_CALL = re.compile(r'(?:\.call|\bdata|\bmade|\brefused)\(\s*(?:harbor, )?"((?:\w+Api\.)?[a-z_]+)"')
# The first that a method's name holds decides where it is listed.
_GROUPS = (
    ("Configuration", ("cve", "config")),
    ("Jobs", ("purge", "jobservice", "schedule", "gc_", "gcapi")),
    ("Audit", ("log",)),
    ("Metadata", ("metadata",)),
    ("Immutable tags", ("immutable", "immu_")),
    ("Retention", ("retention",)),
    ("Replication", ("replication", "registr")),
    ("Members", ("member",)),
    ("Robots", ("robot",)),
    ("Quotas", ("quota",)),
    ("Labels", ("label",)),
    ("Repositories, artifacts, tags", ("artifact", "repositor", "tag")),
    ("Users", ("user",)),
    ("Projects", ("project",)),
    ("Search, system", ("",)),
)


def called(module: str) -> list[str]:
    """Return the methods that tests of the module, and of those named after it, call."""
    files = (ROOT / "tests" / "live").glob(f"{module}*.py")
    return sorted({name for file in files for name in _CALL.findall(file.read_text())})


def render() -> str:
    """Return the document with its lists made anew."""
    parts = [OUTPUT.read_text().partition(_LISTS)[0].rstrip(), ""]
    for library, module in LIBRARIES.items():
        methods = called(module)
        parts += [f"## {library}: {len(methods)} methods", "", "| | Methods |", "|---|---|"]
        for group, _words in _GROUPS:
            names = [f"`{name}`" for name in methods if _group_of(name) == group]
            if names:
                parts.append(f"| {group} | {', '.join(names)} |")
        parts.append("")
    return "\n".join(parts)


def _group_of(name: str) -> str:
    text = name.lower()
    return next(group for group, words in _GROUPS if any(word in text for word in words))


def main() -> None:
    """Write the document."""
    OUTPUT.write_text(render())
    print(f"wrote {OUTPUT}")


if __name__ == "__main__":
    main()
