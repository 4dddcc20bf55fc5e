"""Settings of the tests: those of production with a home of their own and cheap passwords."""

import os
import tempfile
from pathlib import Path

_DATABASE = os.environ.get("MOORAGE_TEST_DATABASE", "sqlite")
# What the developer's shell sets must not decide whether a test passes.
for _name in [name for name in os.environ if name.startswith("MOORAGE_")]:
    if not _name.startswith("MOORAGE_TEST_"):
        del os.environ[_name]
# One home per process; tests/conftest.py removes it at the end.
os.environ["MOORAGE_HOME"] = tempfile.mkdtemp(prefix="moorage-test-")
if _DATABASE == "postgresql":
    os.environ["MOORAGE_DATABASE_URL"] = os.environ["MOORAGE_TEST_DATABASE_URL"]

from portal.settings import *  # noqa: E402, F403 - the environment had to be set first
from portal.settings import DATABASES, MOORAGE_HOME, STATIC_ROOT, STORAGES  # noqa: E402

if _DATABASE == "sqlite":
    # A file, not memory: tests with threads need connections of their own.
    DATABASES["default"]["TEST"] = {"NAME": str(MOORAGE_HOME / "test.sqlite3")}
    # Nobody needs the tests' data after a power cut.
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    )

PASSWORD_HASHERS = ["tests.hashers.CheapArgon2PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
CELERY_TASK_ALWAYS_EAGER = False
# A test writes what was noted itself.
MOORAGE_PULL_FLUSH_SECONDS = 0

for _folder in ("keys", "run", "registry", "broker/control"):
    Path(MOORAGE_HOME, _folder).mkdir(parents=True, exist_ok=True)
# WhiteNoise warns where it is missing, and a warning is an error.
STATIC_ROOT.mkdir(exist_ok=True)
