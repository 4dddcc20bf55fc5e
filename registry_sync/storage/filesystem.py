"""The registry's filesystem driver's layout (distribution 2.8 and 3.x alike)."""

from pathlib import Path


def blob_path(root: Path, digest: str) -> Path:
    """Where the bytes of ``sha256:<hex>`` lie."""
    hexadecimal = digest.removeprefix("sha256:")
    return root / "docker/registry/v2/blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"


def read_blob(root: Path, digest: str, *, limit: int) -> bytes | None:
    """Return a blob's bytes, or None where it is absent or larger than ``limit`` bytes."""
    try:
        with blob_path(root, digest).open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        return None
    return content if len(content) <= limit else None
