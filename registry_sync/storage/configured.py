"""The storage that this Moorage's registry uses."""

from django.conf import settings

from registry_sync.storage.base import Storage
from registry_sync.storage.filesystem import FilesystemStorage


def storage() -> Storage:
    """Return the driver that the settings name."""
    return FilesystemStorage(settings.MOORAGE_STORAGE_ROOT)
