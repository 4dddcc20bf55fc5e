"""The project package: settings, URLs, and everything a person or an API client sees."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
