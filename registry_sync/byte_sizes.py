"""Bytes as people read them."""

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def scaled(size: int) -> tuple[str, str]:
    """Return a number of three digits, and its IEC unit; little enough is told to the byte."""
    value, unit = float(size), 0
    # 999.5 and more would be written with four digits: the next unit has them as 0.976.
    while value >= 999.5 and unit < len(UNITS) - 1:
        value /= 1024
        unit += 1
    if unit == 0:
        return str(size), UNITS[0]
    digits = 3 if value < 1 else 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f}", UNITS[unit]
