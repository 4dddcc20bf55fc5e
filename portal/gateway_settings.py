"""Settings of the gateway process: the same project without sessions, CSRF, messages or locale.

A slow page can never hold up a pull, and the hot paths run one small middleware.
"""

from portal.settings import *  # noqa: F403 - a settings module extends another this way

ROOT_URLCONF = "portal.gateway_urls"
MIDDLEWARE = [
    "portal.middleware.RequestContextMiddleware",
    "registry_sync.gateway.places.middleware",
]
