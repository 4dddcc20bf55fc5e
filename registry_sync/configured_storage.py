"""The storage that this Moorage's registry uses."""

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from registry_sync.storage.base import Storage
from registry_sync.storage.bucket import Bucket
from registry_sync.storage.filesystem import FilesystemStorage

if TYPE_CHECKING:
    from registry_sync.storage.s3 import S3Storage


def storage() -> Storage:
    """Return the driver that the settings name."""
    return bucket() or FilesystemStorage(settings.MOORAGE_STORAGE_ROOT)


def bucket() -> "S3Storage | None":
    """Return the bucket's driver, or None where the storage is a directory."""
    where = bucket_of_settings()
    return None if where is None else _in_bucket(where)


def bucket_of_settings() -> Bucket | None:
    """Return where the bucket is, or None where the storage is a directory."""
    if not settings.MOORAGE_S3_BUCKET:
        return None
    return Bucket(
        settings.MOORAGE_S3_BUCKET,
        settings.MOORAGE_S3_PREFIX,
        endpoint=settings.MOORAGE_S3_ENDPOINT,
        region=settings.MOORAGE_S3_REGION,
        access_key=settings.MOORAGE_S3_ACCESS_KEY,
        secret_key=settings.MOORAGE_S3_SECRET_KEY,
        public_endpoint=settings.MOORAGE_S3_PUBLIC_ENDPOINT,
    )


def is_in_reach() -> bool:
    """Whether the storage can be looked into from here."""
    return bool(settings.MOORAGE_S3_BUCKET) or settings.MOORAGE_STORAGE_ROOT.is_dir()


@lru_cache(maxsize=8)
def _in_bucket(where: Bucket) -> "S3Storage":
    """Import the driver only here: boto3 is an extra, and takes 30 MB in every process."""
    try:
        module = import_module("registry_sync.storage.s3")
    except ModuleNotFoundError as error:
        raise ImproperlyConfigured(
            "MOORAGE_S3_BUCKET needs boto3: install Moorage with its extra s3."
        ) from error
    driver: S3Storage = module.S3Storage(where)
    return driver
