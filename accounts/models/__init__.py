"""The tables of accounts."""

from accounts.models.audit import AuditEntry, OutboxEvent
from accounts.models.credentials import (
    PasswordReset,
    PersonalToken,
    Robot,
    RobotGrant,
    ThrottleCounter,
    UserSession,
)
from accounts.models.projects import Project, ProjectMember
from accounts.models.users import User

__all__ = [
    "AuditEntry",
    "OutboxEvent",
    "PasswordReset",
    "PersonalToken",
    "Project",
    "ProjectMember",
    "Robot",
    "RobotGrant",
    "ThrottleCounter",
    "User",
    "UserSession",
]
