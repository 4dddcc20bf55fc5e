"""What must be up to date before the programs start: tables, first administrator, static files."""

import hashlib
import secrets
import string

import environ
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from accounts.errors import DomainError
from accounts.users import ensure_first_administrator
from portal.stack.errors import CannotStart
from portal.stack.home import Home, write_private

_PASSWORD_ALPHABET = string.ascii_letters + string.digits
_PASSWORD_LENGTH = 24


def prepare_database(home: Home) -> str | None:
    """Bring the tables up to date; return the first administrator's password if it was made now."""
    try:
        _migrate()
        return _first_administrator(home)
    except DatabaseError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CannotStart(f"the database cannot be used: {reason}") from error
    finally:
        connection.close()


def _migrate() -> None:
    """Migrate where something is to be migrated: looking costs less than the command."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)


def _first_administrator(home: Home) -> str | None:
    if get_user_model().objects.exists():
        return None
    password = _given_password()
    if password is None:
        # On disk before it is in force: it could not be read from the database afterwards.
        password = "".join(secrets.choice(_PASSWORD_ALPHABET) for _ in range(_PASSWORD_LENGTH))
        write_private(home.admin_password, password)
    elif home.admin_password.exists():
        home.admin_password.unlink()
    try:
        return ensure_first_administrator(password)
    except DomainError as error:
        raise CannotStart(f"MOORAGE_ADMIN_PASSWORD cannot be used: {error}") from error


def require_password() -> None:
    """Say so where the first administrator's password is not given: here none is made up."""
    if _given_password() is None:
        raise CannotStart(
            "give the first password in the file that MOORAGE_ADMIN_PASSWORD_FILE names"
        )


def _given_password() -> str | None:
    try:
        password: str = environ.FileAwareEnv().str("MOORAGE_ADMIN_PASSWORD", default="")
    except (OSError, ImproperlyConfigured) as error:
        raise CannotStart(f"MOORAGE_ADMIN_PASSWORD_FILE cannot be read: {error}") from error
    return password.rstrip("\r\n") or None


def collect_static(home: Home) -> None:
    """Collect the static files where one of them changed."""
    fingerprint = _static_fingerprint()
    note = home.run / "static-fingerprint"
    if settings.STATIC_ROOT.exists() and note.exists() and note.read_text() == fingerprint:
        return
    try:
        call_command("collectstatic", interactive=False, verbosity=0)
    except OSError as error:
        raise CannotStart(f"cannot write the static files: {error}") from error
    note.write_text(fingerprint)


def _static_fingerprint() -> str:
    digest = hashlib.sha256(f"{settings.VERSION} {settings.STATIC_ROOT}\n".encode())
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = settings.BASE_DIR.joinpath(storage.path(path)).stat()
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
