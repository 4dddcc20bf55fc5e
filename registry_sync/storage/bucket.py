"""Where a bucket is, and who may use it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the registry's objects are; without keys the machine's own role serves."""

    name: str
    # The registry's ``rootdirectory`` in it.
    prefix: str = ""
    # Empty for Amazon's own.
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = ""
    # Where clients reach it, if not at ``endpoint``.
    public_endpoint: str = ""
