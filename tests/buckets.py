"""A service that speaks S3's API, in this process, with as many buckets as tests want."""

import itertools
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from registry_sync.storage.bucket import Bucket

KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing-secret"}
_numbers = itertools.count(1)


class Service:
    """One that runs on a free port of this machine."""

    def __init__(self) -> None:
        """``start`` starts."""
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)

    def start(self) -> "Service":
        """Start it."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop it."""
        self._server.stop()

    @property
    def url(self) -> str:
        """Where it is."""
        host, port = self._server.get_host_and_port()
        return f"http://{host}:{port}"

    def client(self) -> Any:
        """Return the client that may do everything."""
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **KEYS)

    def bucket(self, *, has_versions: bool = False, prefix: str = "deep/root") -> Bucket:
        """Make an empty bucket."""
        name = f"bucket-{next(_numbers)}"
        client = self.client()
        client.create_bucket(Bucket=name)
        if has_versions:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return Bucket(
            name,
            prefix,
            endpoint=self.url,
            access_key=KEYS["aws_access_key_id"],
            secret_key=KEYS["aws_secret_access_key"],
        )
