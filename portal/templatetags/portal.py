"""Filters and tags of every template: how Moorage writes sizes, digests, people and icons."""

import datetime
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlencode

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.roles import Role
from portal.web import dates
from portal.web.markdown import summary_of
from registry_sync.byte_sizes import scaled
from registry_sync.layers.entries import Flag

register = template.Library()

_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")
_NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
# Here, because roles.py is plain Python; the words are the same.
_ROLE_LABELS = {
    Role.PROJECT_ADMIN: gettext_lazy("Project admin"),
    Role.MAINTAINER: gettext_lazy("Maintainer"),
    Role.DEVELOPER: gettext_lazy("Developer"),
    Role.GUEST: gettext_lazy("Guest"),
    Role.LIMITED_GUEST: gettext_lazy("Limited guest"),
}


@register.simple_tag
@lru_cache(maxsize=1024)
def icon(name: str, size: str = "", state: str = "") -> SafeString:
    """Draw an icon of the sprite; decoration only, the words stand beside it.

    Remembered: a page of rows draws a hundred, and to find the sprite's address took most of it.
    """
    classes = " ".join(filter(None, ["mo-icon", size and f"mo-icon-{size}", state]))
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#tabler-{}"/></svg>',
        classes,
        static("vendor/icons.svg"),
        name,
    )


@register.filter
def size(value: int | None) -> str:
    """Write bytes with three digits and an IEC unit: ``61.8 MiB``."""
    return _NO_BREAK_SPACE.join(scaled(value)) if value is not None else ""


@register.filter
def signed_size(value: int) -> str:
    """Write how bytes changed: ``+61.8 MiB``, with a true minus sign."""
    sign = "\N{MINUS SIGN}" if value < 0 else "+" if value > 0 else ""
    return sign + _NO_BREAK_SPACE.join(scaled(abs(value)))


@register.filter
def size_number(value: int) -> str:
    """The number of ``size`` alone."""
    return scaled(value)[0]


@register.filter
def size_unit(value: int) -> str:
    """The unit of ``size`` alone."""
    return scaled(value)[1]


@register.filter
def day(at: datetime.date | None) -> str:
    """A day in the form that who is looking chose."""
    return dates.day(at)


@register.filter
def moment(at: datetime.datetime | None) -> str:
    """A day and the time, in their time zone and form."""
    return dates.moment(at)


@register.filter
def duration(took: datetime.timedelta | int | None) -> str:
    """How long something took (seconds, where a number), in its two largest units."""
    if took is None:
        return "–"
    seconds = took if isinstance(took, int) else int(took.total_seconds())
    if seconds < 1:
        return _("< 1 s")
    if seconds < 60:
        return _("%(seconds)s s") % {"seconds": seconds}
    if seconds < 3600:
        return _("%(minutes)s min %(seconds)s s") % {
            "minutes": seconds // 60,
            "seconds": seconds % 60,
        }
    return _("%(hours)s h %(minutes)s min") % {
        "hours": seconds // 3600,
        "minutes": seconds % 3600 // 60,
    }


@register.simple_tag
def time_element(at: datetime.datetime | None) -> SafeString:
    """Draw a moment; a script says how long ago it was, where who is looking wants that.

    In Python: lists have one or two in each row, and filters would look up zone and form each time.
    """
    if not at:
        return format_html("<time></time>")
    local = timezone.localtime(at)
    words, zone = dates.moment(local), local.tzname() or ""
    if not dates.is_relative():
        return format_html(
            '<time datetime="{}" title="{}">{}</time>', local.isoformat(), zone, words
        )
    return format_html(
        '<x-time><time datetime="{}" title="{} {}">{}</time></x-time>',
        local.isoformat(),
        words,
        zone,
        words,
    )


@register.filter
def short_digest(value: str) -> str:
    """The first twelve hexadecimal digits."""
    return value.partition(":")[2][:12]


@register.filter
def summary(text: str) -> str:
    """A description's first paragraph without its Markdown."""
    return summary_of(text)


@register.filter
def brief(text: str) -> str:
    """A text with each digest in it cut to twelve digits."""
    return _DIGEST.sub(r"\1…", text)


@register.filter
def hues(value: str) -> list[tuple[int, int]]:
    """Place and number of three of eight colours: equal digests are seen at a glance."""
    hexadecimal = value.partition(":")[2]
    try:
        first = bytes.fromhex(hexadecimal[:6])
    except ValueError:
        return []
    return [(5 * place, byte % 8 + 1) for place, byte in enumerate(first)]


@register.filter
def of(mapping: Mapping[object, object], key: object) -> object:
    """What a mapping holds for this key, if anything."""
    return mapping.get(key)


@register.filter
def initials(value: str) -> str:
    """One or two letters for a person's round mark."""
    words = [word for word in value.replace(".", " ").replace("-", " ").split() if word]
    if len(words) > 1:
        return (words[0][0] + words[-1][0]).upper()
    return value[:2].upper()


@register.filter
def is_robot(name: str) -> bool:
    """Whether a pusher is a machine's account, by how its name begins."""
    return name.startswith(settings.MOORAGE_ROBOT_PREFIX)


@register.filter
def role_label(value: int | None) -> str:
    """A project role's name in the page's language."""
    return str(_ROLE_LABELS[Role(value)]) if value else ""


@register.filter
def folder(path: str) -> str:
    """Everything up to a path's last slash, with it."""
    return path[: path.rfind("/") + 1]


@register.filter
def leaf(path: str) -> str:
    """What follows a path's last slash."""
    return path[path.rfind("/") + 1 :]


@register.filter
def percent_of(part: int, whole: int) -> int:
    """How many whole per cent one is of the other, at most 100: not yet full is never 100."""
    return min(100, 100 * part // whole) if whole > 0 else 0


@register.filter
def format_of(media_type: str) -> str:
    """How a layer is packed, in words."""
    for ending, words in (("gzip", "tar + gzip"), ("zstd", "tar + zstd"), (".tar", "tar")):
        if media_type.endswith(ending):
            return words
    return media_type


@register.filter
def ink(color: str) -> str:
    """Which writing stands out more on a colour such as ``#0091DA``: ``dark`` or ``light``."""
    digits = color.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue = (_linear(byte / 255) for byte in bytes.fromhex(digits))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    # WCAG's contrast with black is (luminance + 0.05) / 0.05, with white 1.05 / (luminance + 0.05).
    return "dark" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "light"


def _linear(part: float) -> float:
    """One part of an sRGB colour as WCAG reckons with it."""
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


@register.filter
def hue(number: int) -> int:
    """Return which of eight colours the layer of this number, counted from 0, has."""
    return number % 8 + 1


@register.filter
def octal(mode: int) -> str:
    """Write permissions as four octal digits."""
    return f"{mode:04o}"


@register.filter
def is_secret(flags: int) -> bool:
    """Tell whether a layer's entry looks like a secret."""
    return bool(flags & Flag.SECRET)


@register.simple_tag
def parameters(**chosen: object) -> str:
    """Write the parameters of an address: ``layer=3&file=etc%2Fpasswd``."""
    return urlencode(chosen)
