"""The tables of accounts."""

from accounts.models.audit import AuditEntry, OutboxEvent
from accounts.models.credentials import ThrottleCounter
from accounts.models.projects import Project, ProjectMember
from accounts.models.users import User

__all__ = ["AuditEntry", "OutboxEvent", "Project", "ProjectMember", "ThrottleCounter", "User"]
