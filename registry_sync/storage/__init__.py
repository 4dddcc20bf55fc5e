"""Access to the registry's storage behind its back: what delivery, collection and fsck need."""
