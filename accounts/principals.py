"""The principal: who is calling, as a plain value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, a robot, the system itself, or nobody in particular (anonymous).

    ``kind`` is ``user``, ``robot``, ``system`` or ``anonymous``; ``epoch`` is the user's or
    robot's ``auth_epoch`` when the principal was made, ``rights_epoch`` the user's. One that came
    by a personal token has its id and what its scopes allow (``None``: no limit).
    """

    kind: str
    name: str
    user_id: int | None = None
    is_administrator: bool = False
    epoch: int = 0
    is_auditor: bool = False
    robot_id: int | None = None
    token_id: int | None = None
    scopes: frozenset[str] | None = None
    rights_epoch: int = 0

    @property
    def is_anonymous(self) -> bool:
        """True where no credentials were given."""
        return self.kind == "anonymous"

    def may_use(self, scope: str) -> bool:
        """Whether the personal token, if it came by one, has the scope (``registry:pull``)."""
        return self.scopes is None or scope in self.scopes


ANONYMOUS = Principal(kind="anonymous", name="anonymous")
SYSTEM = Principal(kind="system", name="system", is_administrator=True)


@dataclass(frozen=True, slots=True)
class Actor:
    """A principal at work: who changes state, from where, within which request."""

    principal: Principal
    address: str = ""
    request_id: str = ""
    # What the caller's program says it is (User-Agent).
    client: str = ""

    @classmethod
    def of(cls, principal: Principal, environ: Mapping[str, Any]) -> "Actor":
        """Take address and request id from a WSGI environment that the middleware completed."""
        return cls(
            principal,
            address=environ.get("moorage.address", ""),
            request_id=environ.get("moorage.request_id", ""),
            client=environ.get("HTTP_USER_AGENT", "")[:255],
        )


SYSTEM_ACTOR = Actor(SYSTEM)
