"""A number of bytes as people write it in a form: ``10 GiB``, ``500 MB``, ``1048576``."""

import re
from decimal import Decimal

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from registry_sync.byte_sizes import UNITS

UNLIMITED = -1
_LARGEST = 2**63 - 1
_FORM = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?)\s*([kmgtp]?i?b?)", re.IGNORECASE)
_LETTERS = "kmgtp"


class ByteSizeField(forms.CharField):
    """Bytes with or without a unit; empty is no limit, ``UNLIMITED``."""

    def clean(self, value: object) -> int:
        """Return the number of bytes."""
        text = str(super().clean(value)).strip()
        if not text:
            return UNLIMITED
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValidationError(_("Write a number with a unit, such as 10 GiB."))
        size = int(Decimal(found[1]) * _factor(found[2].lower()))
        if not 0 < size <= _LARGEST:
            raise ValidationError(_("Write a number with a unit, such as 10 GiB."))
        return size


def _factor(unit: str) -> int:
    """Return what a unit multiplies with: KiB by 1024, kB by 1000."""
    if not unit or unit[0] not in _LETTERS:
        return 1
    base = 1000 if unit.endswith("b") and "i" not in unit else 1024
    return int(base ** (_LETTERS.index(unit[0]) + 1))


def written(size: int) -> str:
    """Write bytes exactly, in the largest unit that leaves a whole number; empty for no limit."""
    if size < 0:
        return ""
    unit = 0
    while size and size % 1024 == 0 and unit < len(UNITS) - 1:
        size //= 1024
        unit += 1
    return f"{size} {UNITS[unit]}"
