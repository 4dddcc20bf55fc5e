"""The one error of starting: what is wrong and what to do about it, in one line."""


class CannotStart(Exception):
    """Moorage cannot run here as it is; ``str(error)`` is the line for the terminal."""
