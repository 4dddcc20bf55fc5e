"""Which database, and how it is spoken to; a part of the settings."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ
from django.core.exceptions import ImproperlyConfigured


def databases(env: environ.Env, home: Path) -> dict[str, dict[str, Any]]:
    """Return ``DATABASES``: that of ``MOORAGE_DATABASE_URL``, else SQLite in the home.

    Raises ``ImproperlyConfigured`` for a database that Moorage does not run on.
    """
    default = env.db_url("MOORAGE_DATABASE_URL", default=f"sqlite:///{home / 'moorage.sqlite3'}")
    if default["ENGINE"] == "django.db.backends.sqlite3":
        return {"default": default | _SQLITE}
    if default["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured(
            "MOORAGE_DATABASE_URL must start with sqlite:/// or postgres:// - "
            "Moorage runs on SQLite and PostgreSQL."
        )
    # postgres://user@%2Frun%2Fpostgresql/name: a socket's folder, written as libpq wants it.
    default["HOST"] = unquote(default["HOST"])
    # Apart from the URL, so that a file can hold it.
    if password := env.str("MOORAGE_DATABASE_PASSWORD", default="").strip():
        default["PASSWORD"] = password
    return {"default": default | _POSTGRESQL}


_SQLITE = {
    "ENGINE": "portal.sqlite",
    "OPTIONS": {
        # Writers queue at BEGIN instead of failing half-way with SQLITE_BUSY.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # FULL: what a client was told is stored survives a power cut.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    },
    "CONN_MAX_AGE": None,
}
_POSTGRESQL = {
    "OPTIONS": {
        # Compiling a query that pages ask took PostgreSQL ten times as long as running it.
        "options": "-c lock_timeout=20s -c statement_timeout=60s "
        "-c idle_in_transaction_session_timeout=60s -c jit=off"
    },
    "CONN_MAX_AGE": 600,
    "CONN_HEALTH_CHECKS": True,
}
