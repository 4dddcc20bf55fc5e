"""What each process writes to standard error; a part of the settings."""

import environ

_LEVEL = environ.FileAwareEnv().str("MOORAGE_LOG_LEVEL", default="INFO")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": _LEVEL},
    "loggers": {
        "django": {"handlers": [], "propagate": True, "level": "INFO"},
        # Refused requests are normal in a registry's life and stand in nginx's access log.
        "django.request": {"handlers": [], "propagate": True, "level": "ERROR"},
        # Ticks are many and say nothing; jobs are logged by their door.
        "celery.beat": {"handlers": [], "propagate": True, "level": "WARNING"},
        "celery.worker.strategy": {"handlers": [], "propagate": True, "level": "WARNING"},
        "celery.app.trace": {"handlers": [], "propagate": True, "level": "WARNING"},
        # It misses a host in the address of a broker made of files.
        "kombu.connection": {"handlers": [], "propagate": True, "level": "ERROR"},
    },
}
