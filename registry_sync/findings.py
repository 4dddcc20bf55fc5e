"""What checks find."""

from collections.abc import Callable
from dataclasses import dataclass

# Called with the check's name after each thing looked at.
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    check: str
    subject: str
    problem: str
    # Whether it was mended at once.
    is_mended: bool = False

    def __str__(self) -> str:
        mended = " (mended)" if self.is_mended else ""
        return f"{self.check}: {self.subject}: {self.problem}{mended}"
