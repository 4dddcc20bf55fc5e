"""The one settings file: core, applications, pages, registry, jobs; database and logging beside it.

Every value a deployment may change is an environment variable named ``MOORAGE_…``; a secret may
be given as ``MOORAGE_…_FILE``, the path of a file that holds it.
"""

import ipaddress
import os
from pathlib import Path
from urllib.parse import quote, urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from django.utils.translation import gettext_lazy as _

from portal.beat_settings import CELERY_BEAT_SCHEDULE as CELERY_BEAT_SCHEDULE
from portal.database_settings import databases
from portal.log_settings import LOGGING as LOGGING

# --- Core -------------------------------------------------------------------------------------

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"
env = environ.FileAwareEnv()


def _number(name: str, *, default: int) -> int:
    """Read a whole number; say which setting is none."""
    text: str = env.str(name, default=str(default))
    try:
        return int(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {text!r}.") from error


def _address(name: str, *, default: str) -> str:
    """Read an address of ours without its path; say which setting is none."""
    text: str = (env.str(name, default="") or default).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path:
        raise ImproperlyConfigured(
            f"{name} must look like https://registry.example.com[:port], not {text!r}."
        )
    return text


MOORAGE_HOME = Path(env.str("MOORAGE_HOME", default=str(BASE_DIR / "var"))).absolute()
MOORAGE_KEYS = MOORAGE_HOME / "keys"
MOORAGE_BIND = env.str("MOORAGE_BIND", default="127.0.0.1")
MOORAGE_PORT = _number("MOORAGE_PORT", default=8080)
# What clients are told: the token realm, the commands on pages.
MOORAGE_EXTERNAL_URL = _address(
    "MOORAGE_EXTERNAL_URL", default=f"http://{MOORAGE_BIND}:{MOORAGE_PORT}"
)
_external = urlsplit(MOORAGE_EXTERNAL_URL)
MOORAGE_IS_HTTPS = _external.scheme == "https"
# A second listener for clients that name no project: it answers for the registry MIRROR_OF with
# one project's images. 0: there is none.
MOORAGE_MIRROR_PORT = _number("MOORAGE_MIRROR_PORT", default=0)
MOORAGE_MIRROR_PROJECT = env.str("MOORAGE_MIRROR_PROJECT", default="")
MOORAGE_MIRROR_OF = env.str("MOORAGE_MIRROR_OF", default="") or "docker.io"
MOORAGE_MIRROR_URL = _address(
    "MOORAGE_MIRROR_URL", default=f"http://{MOORAGE_BIND}:{MOORAGE_MIRROR_PORT}"
)
if MOORAGE_MIRROR_PORT and not MOORAGE_MIRROR_PROJECT:
    raise ImproperlyConfigured("MOORAGE_MIRROR_PORT needs MOORAGE_MIRROR_PROJECT, a name.")
if MOORAGE_MIRROR_PORT and MOORAGE_MIRROR_PORT == MOORAGE_PORT:
    raise ImproperlyConfigured("MOORAGE_MIRROR_PORT must not be MOORAGE_PORT.")

_secret_key_file = MOORAGE_KEYS / "secret-key"
# Without a home (makemigrations, type checks) a key nobody else knows is made up for the process.
SECRET_KEY = env.str("MOORAGE_SECRET_KEY", default="").strip() or (
    _secret_key_file.read_text().strip() if _secret_key_file.exists() else get_random_secret_key()
)
DEBUG = env.bool("MOORAGE_DEBUG", default=False)
# nginx answers for the public name and passes it on; the web process listens on loopback only.
ALLOWED_HOSTS = [
    _external.hostname,
    *env.list("MOORAGE_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"]),
]
CSRF_TRUSTED_ORIGINS = [MOORAGE_EXTERNAL_URL]
# Peers besides loopback whose X-Real-IP and X-Request-Id are believed: addresses, networks, or
# host names, which are looked up again as they may change.
MOORAGE_TRUSTED_PROXIES = env.list("MOORAGE_TRUSTED_PROXIES", default=[])
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Applications -----------------------------------------------------------------------------

INSTALLED_APPS = [
    "accounts",
    "registry_sync",
    "portal",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    # The simple configurations: both packages' automatic loaders would replace each other.
    "django_cotton.apps.SimpleAppConfig",
    "template_partials.apps.SimpleAppConfig",
    "rest_framework",
]

MIDDLEWARE = [
    "portal.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.web.directions.DirectionsMiddleware",
]
APPEND_SLASH = False
CSRF_FAILURE_VIEW = "portal.web.errors.csrf_failure"

# --- Database and cache -----------------------------------------------------------------------

DATABASES = databases(env, MOORAGE_HOME)
CACHES = {"default": env.cache_url("MOORAGE_CACHE_URL", default="locmemcache://")}
# One password for cache and broker where both are the same Redis.
_redis_password = env.str("MOORAGE_REDIS_PASSWORD", default="").strip()
if _redis_password and CACHES["default"]["BACKEND"].endswith("RedisCache"):
    CACHES["default"]["OPTIONS"] = {"password": _redis_password}

# --- Signing in -------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "accounts.passwords.MaximumLengthValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["username", "email", "realname"]},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# MOORAGE_CONFIG_READ_ONLY=true and so on: settings of the API's /configurations that are thereby
# fixed; accounts/configuration.py lists them.
MOORAGE_CONFIG = {
    name.removeprefix("MOORAGE_CONFIG_").lower(): value
    for name, value in os.environ.items()
    if name.startswith("MOORAGE_CONFIG_")
}
# A name that begins so is a robot's; Harbor's is robot$.
MOORAGE_ROBOT_PREFIX = env.str("MOORAGE_ROBOT_PREFIX", default="robot+")
if (
    not MOORAGE_ROBOT_PREFIX.strip()
    or MOORAGE_ROBOT_PREFIX.isalnum()
    or ":" in MOORAGE_ROBOT_PREFIX
):
    raise ImproperlyConfigured("MOORAGE_ROBOT_PREFIX needs a sign such as + or $, and no colon.")
# smtp+tls://name:password@host:587 and so on; without it no mail is sent, and none is needed.
_mail_url: str = env.str("MOORAGE_EMAIL_URL", default="").strip()
MOORAGE_SENDS_MAIL: bool = bool(_mail_url)
if _mail_url:
    globals().update(env.email_url_config(_mail_url))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("MOORAGE_EMAIL_FROM", default=f"moorage@{_external.hostname}")
LOGIN_URL = "account:sign_in"
LOGIN_REDIRECT_URL = "home"

SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
_prefix = "__Host-" if MOORAGE_IS_HTTPS else ""
SESSION_COOKIE_NAME = f"{_prefix}moorage_session"
CSRF_COOKIE_NAME = f"{_prefix}moorage_csrf"
LANGUAGE_COOKIE_NAME = "moorage_language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
LANGUAGE_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = MOORAGE_IS_HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if MOORAGE_IS_HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if MOORAGE_IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("MOORAGE_HSTS_SUBDOMAINS", default=False)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}

# --- Pages ------------------------------------------------------------------------------------

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "portal.web.shell.shell",
            ],
            "loaders": [
                (
                    "template_partials.loader.Loader",
                    [
                        (
                            "django.template.loaders.cached.Loader",
                            [
                                "django_cotton.cotton_loader.Loader",
                                "django.template.loaders.filesystem.Loader",
                                "django.template.loaders.app_directories.Loader",
                            ],
                        )
                    ],
                )
            ],
            "builtins": [
                "django.templatetags.i18n",
                "django.templatetags.static",
                "django_cotton.templatetags.cotton",
                "template_partials.templatetags.partials",
                "portal.templatetags.portal",
            ],
        },
    }
]
STATIC_URL = "static/"
STATIC_ROOT = MOORAGE_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hant", "繁體中文"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.str("MOORAGE_TIME_ZONE", default="UTC")
USE_TZ = True
SITE_NAME = _("Moorage")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    # Default deny: a view that names no permission of its own answers nobody.
    "DEFAULT_PERMISSION_CLASSES": ["portal.api.base.Deny"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "portal.errors.api_exception_handler",
    "UNAUTHENTICATED_USER": None,
}

# --- Registry ---------------------------------------------------------------------------------

# Where the gateway reaches the registry; clients never do.
MOORAGE_REGISTRY_URL = env.str("MOORAGE_REGISTRY_URL", default="http://127.0.0.1:5000").rstrip("/")
MOORAGE_STORAGE_ROOT = Path(
    env.str("MOORAGE_STORAGE_ROOT", default=str(MOORAGE_HOME / "registry"))
).absolute()
# The bucket that holds the registry's storage, in place of a directory; its keys are the machine's
# own role's where none are given. The prefix is the registry's rootdirectory in it.
MOORAGE_S3_BUCKET = env.str("MOORAGE_S3_BUCKET", default="").strip()
MOORAGE_S3_PREFIX = env.str("MOORAGE_S3_PREFIX", default="").strip("/ ")
MOORAGE_S3_ENDPOINT = env.str("MOORAGE_S3_ENDPOINT", default="").strip().rstrip("/")
MOORAGE_S3_REGION = env.str("MOORAGE_S3_REGION", default="us-east-1").strip()
MOORAGE_S3_ACCESS_KEY = env.str("MOORAGE_S3_ACCESS_KEY", default="").strip()
MOORAGE_S3_SECRET_KEY = env.str("MOORAGE_S3_SECRET_KEY", default="").strip()
# Where clients reach the bucket, if not where the registry does.
MOORAGE_S3_PUBLIC_ENDPOINT = env.str("MOORAGE_S3_PUBLIC_ENDPOINT", default="").strip().rstrip("/")
if bool(MOORAGE_S3_ACCESS_KEY) != bool(MOORAGE_S3_SECRET_KEY):
    raise ImproperlyConfigured("MOORAGE_S3_ACCESS_KEY and MOORAGE_S3_SECRET_KEY go together.")
# file: nginx sends blobs from the storage directory; redirect: clients fetch them from the bucket
# by an address that is good for a while; registry: nginx fetches them from the registry.
MOORAGE_BLOB_DELIVERY = env.str(
    "MOORAGE_BLOB_DELIVERY", default="redirect" if MOORAGE_S3_BUCKET else "file"
)
_deliveries = {"redirect", "registry"} if MOORAGE_S3_BUCKET else {"file", "registry"}
if MOORAGE_BLOB_DELIVERY not in _deliveries:
    raise ImproperlyConfigured(
        "MOORAGE_BLOB_DELIVERY must be file, registry, or with MOORAGE_S3_BUCKET redirect"
    )
# Networks that jobs for other registries may reach besides the internet and private networks: this
# host itself (127.0.0.0/8) is not among them unless it is named.
MOORAGE_OUTBOUND_ALLOW = env.list("MOORAGE_OUTBOUND_ALLOW", default=[])
try:
    for _network in MOORAGE_OUTBOUND_ALLOW:
        ipaddress.ip_network(_network)
except ValueError as error:
    raise ImproperlyConfigured("MOORAGE_OUTBOUND_ALLOW lists networks as 10.1.0.0/16.") from error
MOORAGE_TOKEN_SERVICE = "moorage"  # noqa: S105 - the audience's name, no secret
MOORAGE_TOKEN_ISSUER = "moorage"  # noqa: S105 - the issuer's name, no secret
MOORAGE_PULL_TOKEN_SECONDS = 5 * 60
MOORAGE_PUSH_TOKEN_SECONDS = 15 * 60
# Garbage collection's grace, in seconds: a blob touched within it is never collected.
MOORAGE_GC_GRACE = _number("MOORAGE_GC_GRACE", default=24 * 60 * 60)
# Pulls are counted in memory and written so often; a killed process loses no more than that.
MOORAGE_PULL_FLUSH_SECONDS = 5
# So long a proxy project takes what its upstream said of a tag for still true, in seconds.
MOORAGE_PROXY_FRESH_SECONDS = _number("MOORAGE_PROXY_FRESH_SECONDS", default=30)
# Where tests make a process die; a setting that is not there would cost every push a search.
MOORAGE_FAILPOINTS: dict[str, str] = {}
# A push that was just told that a blob is here must end before the blob is old.
_shortest = 2 * max(MOORAGE_PUSH_TOKEN_SECONDS, MOORAGE_PULL_TOKEN_SECONDS)
if (1 if env.bool("MOORAGE_UNSAFE_GC_GRACE", default=False) else _shortest) > MOORAGE_GC_GRACE:
    raise ImproperlyConfigured(
        f"MOORAGE_GC_GRACE must be {_shortest} seconds or more: twice as long as a token for "
        "pushes. For tests alone, MOORAGE_UNSAFE_GC_GRACE=1 lifts this."
    )

# So many days a tag's former states are kept; the current one always is.
MOORAGE_TAG_HISTORY_DAYS = _number("MOORAGE_TAG_HISTORY_DAYS", default=365)

# Manifests are read whole, up to 4 MiB; nginx keeps every other body of the portal to 1 MiB.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024 + 64 * 1024

# --- Jobs -------------------------------------------------------------------------------------

CELERY_BROKER_URL = env.str("MOORAGE_BROKER_URL", default="filesystem://")
if _redis_password and CELERY_BROKER_URL.startswith("redis://"):
    _broker = urlsplit(CELERY_BROKER_URL)
    CELERY_BROKER_URL = _broker._replace(
        netloc=f":{quote(_redis_password, safe='')}@{_broker.netloc.rpartition('@')[2]}"
    ).geturl()
if CELERY_BROKER_URL.startswith("filesystem://"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(MOORAGE_HOME / "broker"),
        "data_folder_out": str(MOORAGE_HOME / "broker"),
        "control_folder": str(MOORAGE_HOME / "broker" / "control"),
        "polling_interval": 0.2,
    }
elif CELERY_BROKER_URL.startswith(("redis://", "rediss://")):
    # A broker that is away must not hold up a page; the rows are found without its message.
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2, "socket_timeout": 10}
# Seconds that a worker may be silent before another takes its tasks over.
MOORAGE_JOB_LEASE = _number("MOORAGE_JOB_LEASE", default=60)
if MOORAGE_JOB_LEASE < 3:
    raise ImproperlyConfigured("MOORAGE_JOB_LEASE must be 3 seconds or more.")
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# The beat only ticks and remembers nothing, so two of them share nothing either.
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"
