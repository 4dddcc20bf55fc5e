"""Django's registration of registry_sync."""

from django.apps import AppConfig


class AppConfiguration(AppConfig):
    """Keeps the short label."""

    name = "registry_sync"
