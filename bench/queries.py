"""Counts the queries of each path on the command line, as the administrator; prints JSON."""

import json
import os
import sys
from typing import Any

import django


def main() -> None:
    """Ask in this process, twice, and count the second time."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    from django.conf import settings  # noqa: PLC0415 - only once Django is set up
    from django.db import connection  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    from accounts.models import User  # noqa: PLC0415

    settings.ALLOWED_HOSTS = ["*"]
    admin = User.objects.get(username="admin")
    client = Client()
    client.force_login(admin)
    session = client.session
    session["auth_epoch"] = admin.auth_epoch
    session.save()
    counts: dict[str, int] = {}

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        counts[path] += 1
        return execute(sql, *rest)

    for path in sys.argv[1:]:
        client.get(path)
        counts[path] = 0
        with connection.execute_wrapper(count):
            client.get(path)
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
