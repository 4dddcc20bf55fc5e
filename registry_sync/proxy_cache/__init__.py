"""Projects filled from another registry, as things are pulled (docs/proxy-cache.md)."""
