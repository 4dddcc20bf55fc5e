"""What can go wrong when talking to a registry."""

from enum import Enum, auto


class Obstacle(Enum):
    """What kept us from a registry, as far as it may be told to who named it."""

    NO_ADDRESS = auto()
    NOT_ALLOWED = auto()
    NO_TLS = auto()
    UNTRUSTED = auto()
    # It is a registry, but has not the API that its kind has.
    NO_HARBOR = auto()


class RegistryError(Exception):
    """Base of this module."""


class RegistryUnavailableError(RegistryError):
    """No answer, or one that says the registry itself is in trouble; safe to try again."""

    def __init__(self, message: str, status: int = 0, obstacle: Obstacle | None = None) -> None:
        """``status`` is HTTP's; 0 where there was no answer, or none that can be used."""
        super().__init__(message)
        self.status = status
        self.obstacle = obstacle

    @property
    def is_lasting(self) -> bool:
        """Whether somebody has to change something first; a name may be found again by itself."""
        return self.obstacle is not None and self.obstacle is not Obstacle.NO_ADDRESS


class RegistryRejectedError(RegistryError):
    """The registry refused; ``code`` is the specification's, ``digests`` are what is at fault."""

    def __init__(self, status: int, code: str, digests: tuple[str, ...] = ()) -> None:
        """``status`` is HTTP's; ``code`` is empty where the answer named none."""
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.digests = digests
