"""A container's health check: ask once, and end with 0 where the answer is the expected one.

    python probe.py URL STATUS      the status of the answer
    python probe.py URL COMPONENT   the state of a component in the answer of /api/v2.0/health

Only the standard library is imported, and nothing of the project: it runs every few seconds.
"""

import http.client
import json
import sys
from urllib.parse import urlsplit

_SECONDS = 4.0


def is_healthy(url: str, expected: str) -> bool:
    """Tell whether the answer is the expected one."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=_SECONDS)
    try:
        # The name that every program answers to, whatever the container is called.
        connection.request("GET", address.path, headers={"Host": "localhost"})
        response = connection.getresponse()
        if expected.isdecimal():
            return response.status == int(expected)
        components = json.loads(response.read())["components"]
        return {"name": expected, "status": "healthy"} in components
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_healthy(sys.argv[1], sys.argv[2]) else 1)
