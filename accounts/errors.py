"""The one error table: what can go wrong, its code for machines and its HTTP status."""


class DomainError(Exception):
    """Something the caller must be told; ``str(error)`` is the message, in plain words."""

    code = "UNKNOWN"
    status = 500

    def __init__(self, message: str, *, field: str = "") -> None:
        """``field`` names the input that is at fault, where there is one."""
        super().__init__(message)
        self.field = field


class BadRequest(DomainError):
    """The input cannot be understood or breaks a rule."""

    code = "BAD_REQUEST"
    status = 400


class Unauthorized(DomainError):
    """No credentials, or wrong ones."""

    code = "UNAUTHORIZED"
    status = 401


class Denied(DomainError):
    """Visible to the caller, but not allowed."""

    code = "FORBIDDEN"
    status = 403


class NotFound(DomainError):
    """Not there, or not for this caller to know of."""

    code = "NOT_FOUND"
    status = 404


class Conflict(DomainError):
    """In the way of something that exists."""

    code = "CONFLICT"
    status = 409


class PreconditionFailed(DomainError):
    """A state that must be changed first."""

    code = "PRECONDITION"
    status = 412


class TooManyRequests(DomainError):
    """Throttled; ``retry_after`` seconds."""

    code = "TOOMANYREQUESTS"
    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        """``retry_after``: whole seconds until the next attempt may succeed."""
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """A part Moorage needs does not answer; safe to try again."""

    code = "UNAVAILABLE"
    status = 503
