"""The tables of accounts."""

from accounts.models.audit import AuditChain, AuditEntry, OutboxEvent
from accounts.models.configuration import Configuration, CVEAllowlist
from accounts.models.credentials import (
    PasswordReset,
    PersonalToken,
    Robot,
    RobotGrant,
    ThrottleCounter,
    UserSession,
)
from accounts.models.projects import Project, ProjectAlias, ProjectMember
from accounts.models.users import User

__all__ = [
    "AuditChain",
    "AuditEntry",
    "CVEAllowlist",
    "Configuration",
    "OutboxEvent",
    "PasswordReset",
    "PersonalToken",
    "Project",
    "ProjectAlias",
    "ProjectMember",
    "Robot",
    "RobotGrant",
    "ThrottleCounter",
    "User",
    "UserSession",
]
