"""The principal: who is calling, as a plain value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, the system itself, or nobody in particular (anonymous).

    ``kind`` is ``user``, ``system`` or ``anonymous``; ``epoch`` is the user's ``auth_epoch`` when
    the principal was made.
    """

    kind: str
    name: str
    user_id: int | None = None
    is_administrator: bool = False
    epoch: int = 0

    @property
    def is_anonymous(self) -> bool:
        """True where no credentials were given."""
        return self.kind == "anonymous"


ANONYMOUS = Principal(kind="anonymous", name="anonymous")
SYSTEM = Principal(kind="system", name="system", is_administrator=True)
