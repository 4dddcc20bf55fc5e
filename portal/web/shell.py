"""What every page shows around its content: the context processor ``shell``."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language

from accounts.models import User
from portal.web import notices
from portal.web.access import principal_of
from portal.web.jobs import tray
from portal.web.navigation import groups_for

THEMES = ("system", "light", "dark")
# How HTML spells the languages.
_HTML_LANGUAGES = {"en": "en", "zh-hant": "zh-Hant", "zh-hans": "zh-Hans"}


def external_host() -> str:
    """Return what clients put before a repository's name."""
    return str(urlsplit(settings.MOORAGE_EXTERNAL_URL).netloc)


def surroundings() -> dict[str, object]:
    """Return what is the same for everybody; touches no database."""
    language = get_language() or settings.LANGUAGE_CODE
    return {
        "host": external_host(),
        "version": settings.VERSION,
        "language": language,
        "html_lang": _HTML_LANGUAGES.get(language, "en"),
        "languages": [(code, _HTML_LANGUAGES[code], name) for code, name in settings.LANGUAGES],
    }


def theme_of(request: HttpRequest) -> str:
    """Return the theme chosen in this browser."""
    theme = request.COOKIES.get("theme", "")
    return theme if theme in THEMES else THEMES[0]


def shell(request: HttpRequest) -> dict[str, object]:
    """Add who is signed in and which theme they chose."""
    context = {**surroundings(), "theme": theme_of(request)}
    principal = principal_of(request)
    context["principal"] = principal
    context["navigation"] = groups_for(principal)
    context["notices"] = notices.current()
    if not principal.is_anonymous and isinstance(request.user, User):
        context["account"] = request.user
        context["active_jobs"] = tray(principal)
    return context
