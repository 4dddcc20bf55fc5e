"""A text column that both databases order alike."""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    _CharField = models.CharField[str, str]
else:
    _CharField = models.CharField


class ByteOrderedCharField(_CharField):
    """Compared byte by byte, so that keyset pages and locks follow one order everywhere.

    PostgreSQL would otherwise use the database's locale, in which ``a-b`` and ``ab`` may swap.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Add the collation, whose name differs between the databases."""
        parameters = super().db_parameters(connection)
        parameters["collation"] = "C" if connection.vendor == "postgresql" else "BINARY"
        return parameters
