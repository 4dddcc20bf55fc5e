"""What garbage collection remembers between its runs."""

from django.db import models


class StorageEpoch(models.Model):
    """Which database and which storage belong together: one row, whose text is a marker there.

    Both move on together, so that a database restored from a backup is behind its storage.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    current = models.CharField(max_length=32)
    # Where the marker may still be, were the last move cut off in the middle.
    previous = models.CharField(max_length=32, blank=True)
    moved_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.current


class GarbageCounter(models.Model):
    """How often something happened that should be rare, counted by every process."""

    name = models.CharField(max_length=32, primary_key=True)
    count = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}: {self.count}"
