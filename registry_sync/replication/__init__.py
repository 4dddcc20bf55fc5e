"""Replication: images of this registry to others, as jobs that can be broken off anywhere."""
