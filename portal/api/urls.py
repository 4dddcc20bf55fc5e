"""The URLs of the REST API, and a JSON 404 for every other path below ``/api/``."""

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from portal.api import (
    artifacts,
    audit_logs,
    configurations,
    cve_allowlist,
    jobservice,
    labels,
    members,
    metadatas,
    permissions,
    project_summary,
    projects,
    purge,
    quotas,
    repositories,
    robots,
    schedules,
    search,
    sessions,
    statistics,
    system,
    systeminfo,
    tokens,
    user_permissions,
    users,
)
from portal.errors import json_error


@csrf_exempt  # It changes nothing, and a path that does not exist should say so.
def nothing_here(request: HttpRequest) -> HttpResponse:
    """Answer for a path that means nothing."""
    return json_error(404, "NOT_FOUND", "There is no such path in this API.")


urlpatterns = [
    path("v2.0/ping", system.Ping.as_view()),
    path("v2.0/health", system.Health.as_view()),
    path("v2.0/openapi.json", system.OpenAPI.as_view()),
    path("v2.0/projects", projects.Projects.as_view()),
    path("v2.0/projects/<str:name_or_id>", projects.OneProject.as_view()),
    path("v2.0/projects/<str:name_or_id>/_deletable", projects.ProjectDeletable.as_view()),
    path("v2.0/projects/<str:name_or_id>/rename", projects.ProjectName.as_view()),
    path("v2.0/projects/<str:name_or_id>/summary", project_summary.ProjectSummary.as_view()),
    # The contract has it with the slash, and harborapi asks without.
    path("v2.0/projects/<str:name_or_id>/metadatas", metadatas.Metadatas.as_view()),
    path("v2.0/projects/<str:name_or_id>/metadatas/", metadatas.Metadatas.as_view()),
    path("v2.0/projects/<str:name_or_id>/metadatas/<str:name>", metadatas.OneMetadata.as_view()),
    path("v2.0/projects/<str:name_or_id>/members", members.Members.as_view()),
    path("v2.0/projects/<str:name_or_id>/members/<int:member_id>", members.OneMember.as_view()),
    path("v2.0/users", users.Users.as_view()),
    path("v2.0/users/search", users.UserSearch.as_view()),
    path("v2.0/users/current", users.CurrentUser.as_view()),
    path("v2.0/users/current/permissions", user_permissions.CurrentPermissions.as_view()),
    path("v2.0/users/current/tokens", tokens.Tokens.as_view()),
    path("v2.0/users/current/tokens/<int:token_id>", tokens.OneToken.as_view()),
    path("v2.0/users/current/sessions", sessions.Sessions.as_view()),
    path("v2.0/users/current/sessions/<int:session_id>", sessions.OneSession.as_view()),
    path("v2.0/users/<int:user_id>", users.OneUser.as_view()),
    path("v2.0/users/<int:user_id>/password", users.UserPassword.as_view()),
    path("v2.0/users/<int:user_id>/sysadmin", users.UserAdministrator.as_view()),
    path("v2.0/users/<int:user_id>/cli_secret", users.UserCLISecret.as_view()),
    path("v2.0/projects/<str:name_or_id>/logs", audit_logs.ProjectLogs.as_view()),
    path("v2.0/projects/<str:name_or_id>/auditlog-exts", audit_logs.ProjectLogExts.as_view()),
    path("v2.0/projects/<str:name_or_id>/auditlog-exts/export", audit_logs.ProjectExport.as_view()),
    path("v2.0/audit-logs", audit_logs.AuditLogs.as_view()),
    path("v2.0/auditlog-exts", audit_logs.AuditLogExts.as_view()),
    path("v2.0/auditlog-exts/events", audit_logs.EventTypes.as_view()),
    path("v2.0/auditlog-exts/export", audit_logs.Export.as_view()),
    path("v2.0/robots", robots.Robots.as_view()),
    path("v2.0/robots/<int:robot_id>", robots.OneRobot.as_view()),
    path("v2.0/permissions", permissions.Permissions.as_view()),
    path("v2.0/quotas", quotas.Quotas.as_view()),
    path("v2.0/quotas/<int:quota_id>", quotas.OneQuota.as_view()),
    path("v2.0/configurations", configurations.Configurations.as_view()),
    path("v2.0/labels", labels.Labels.as_view()),
    path("v2.0/labels/<int:label_id>", labels.OneLabel.as_view()),
    path("v2.0/search", search.Search.as_view()),
    path("v2.0/statistics", statistics.Statistics.as_view()),
    path("v2.0/systeminfo", systeminfo.SystemInfo.as_view()),
    path("v2.0/systeminfo/volumes", systeminfo.Volumes.as_view()),
    path("v2.0/systeminfo/getcert", systeminfo.Certificate.as_view()),
    path("v2.0/system/CVEAllowlist", cve_allowlist.SystemCVEAllowlist.as_view()),
    path("v2.0/repositories", repositories.Repositories.as_view()),
    path("v2.0/projects/<str:name_or_id>/repositories", repositories.ProjectRepositories.as_view()),
    path(
        "v2.0/projects/<str:name_or_id>/repositories/<path:path>/artifacts",
        artifacts.Artifacts.as_view(),
    ),
    path(
        "v2.0/projects/<str:name_or_id>/repositories/<path:path>/artifacts/<str:reference>",
        artifacts.OneArtifact.as_view(),
    ),
    path(
        "v2.0/projects/<str:name_or_id>/repositories/<path:path>/artifacts/<str:reference>/tags",
        artifacts.ArtifactTags.as_view(),
    ),
    path(
        "v2.0/projects/<str:name_or_id>/repositories/<path:path>",
        repositories.OneRepository.as_view(),
    ),
    path("v2.0/schedules", schedules.Schedules.as_view()),
    path("v2.0/schedules/<str:job_type>/paused", schedules.SchedulePaused.as_view()),
    path("v2.0/jobservice/pools", jobservice.Pools.as_view()),
    path("v2.0/jobservice/pools/<str:pool_id>/workers", jobservice.PoolWorkers.as_view()),
    path("v2.0/jobservice/jobs/<str:job_id>", jobservice.OneJob.as_view()),
    path("v2.0/jobservice/jobs/<str:job_id>/log", jobservice.JobLog.as_view()),
    path("v2.0/jobservice/queues", jobservice.Queues.as_view()),
    path("v2.0/jobservice/queues/<str:job_type>", jobservice.OneQueue.as_view()),
    path("v2.0/system/purgeaudit", purge.Purges.as_view()),
    path("v2.0/system/purgeaudit/schedule", purge.PurgeSchedule.as_view()),
    path("v2.0/system/purgeaudit/<int:purge_id>", purge.OnePurge.as_view()),
    path("v2.0/system/purgeaudit/<int:purge_id>/log", purge.PurgeLog.as_view()),
    re_path(r"", nothing_here),
]
