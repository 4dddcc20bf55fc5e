"""Django's registration of accounts."""

from django.apps import AppConfig


class AppConfiguration(AppConfig):
    """Keeps the short label."""

    name = "accounts"
