"""The pages' addresses.

A component of a repository's name begins and ends with a letter or digit, so a lone dash can never
be one: what follows ``/-/`` is never part of the name.
"""

from django.urls import include, path, re_path

from portal.web import (
    account,
    activity,
    artifact_actions,
    artifacts,
    audit_logs,
    compare,
    deletion,
    gallery,
    garbage,
    home,
    immutable_rules,
    jobs,
    labels,
    layer_policy,
    layers,
    members,
    mirror,
    password_reset,
    personal_tokens,
    project_deletion,
    project_overview,
    project_settings,
    projects,
    quotas,
    reference,
    registries,
    replication,
    reports,
    repositories,
    repository_about,
    retention,
    robots,
    schedules,
    search,
    security,
    storage,
    system_settings,
    tag_history,
    tag_removal,
    trash,
    users,
)

_PROJECT = r"(?P<project>[a-z0-9]+(?:[._-][a-z0-9]+)*)"
_ROBOT = rf"p/{_PROJECT}/-/robots/(?P<robot_id>[0-9]{{1,18}})"
_IMMUTABLE = rf"p/{_PROJECT}/-/settings/immutable"
_RULE = rf"{_IMMUTABLE}/(?P<rule_id>[0-9]{{1,18}})"
_LABEL = rf"p/{_PROJECT}/-/labels/(?P<label_id>[0-9]{{1,18}})"
_ENTRY = rf"p/{_PROJECT}/-/trash/(?P<entry_id>[0-9]{{1,18}})"
_RUN = rf"p/{_PROJECT}/-/runs/(?P<execution_id>[0-9]{{1,18}})"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"p/{_PROJECT}/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
_DIGEST = r"(?P<digest>sha256:[0-9a-f]{64})"
_IMAGE = rf"{_REPOSITORY}/-/images/{_DIGEST}"
_TAG = r"(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127})"

account_patterns = (
    [
        path("sign-in", account.sign_in, name="sign_in"),
        path("sign-out", account.sign_out, name="sign_out"),
        path("language", account.language, name="language"),
        path("theme", account.theme, name="theme"),
        path("tokens", personal_tokens.index, name="tokens"),
        path("tokens/<int:token_id>/revoke", personal_tokens.revoke, name="revoke_token"),
        path("security", security.index, name="security"),
        path("sessions/<int:session_id>/end", security.end_session, name="end_session"),
        path("reset", password_reset.index, name="reset"),
        path("forgotten", password_reset.forgotten, name="forgotten"),
    ],
    "account",
)
project_patterns = (
    [
        path("p/", projects.index, name="list"),
        path("p/-/new", projects.create, name="create"),
        path("p/-/trash", trash.deleted_projects, name="deleted"),
        path("p/-/trash/<int:project_id>/restore", trash.restore_project, name="restore"),
        path("p/-/trash/<int:project_id>/purge", trash.purge_project, name="purge"),
        re_path(rf"^p/{_PROJECT}$", projects.detail, name="detail"),
        re_path(rf"^p/{_PROJECT}/-/members$", members.index, name="members"),
        re_path(rf"^p/{_PROJECT}/-/members/(?P<member_id>[0-9]+)$", members.change, name="member"),
        re_path(rf"^p/{_PROJECT}/-/robots$", robots.index, name="robots"),
        re_path(rf"^p/{_PROJECT}/-/robots/new$", robots.create, name="new_robot"),
        re_path(rf"^{_ROBOT}$", robots.detail, name="robot"),
        re_path(rf"^{_ROBOT}/edit$", robots.edit, name="edit_robot"),
        re_path(rf"^{_ROBOT}/secret$", robots.refresh, name="refresh_robot"),
        re_path(rf"^{_ROBOT}/switch$", robots.switch, name="switch_robot"),
        re_path(rf"^{_ROBOT}/delete$", robots.delete, name="delete_robot"),
        re_path(rf"^p/{_PROJECT}/-/settings$", project_settings.index, name="settings"),
        re_path(rf"^p/{_PROJECT}/-/settings/layers$", layer_policy.index, name="layer_policy"),
        re_path(
            rf"^p/{_PROJECT}/-/settings/allowlist$", project_settings.allowlist, name="allowlist"
        ),
        re_path(rf"^p/{_PROJECT}/-/settings/name$", project_settings.rename, name="rename"),
        re_path(rf"^p/{_PROJECT}/-/settings/delete$", project_deletion.index, name="delete"),
        re_path(rf"^p/{_PROJECT}/-/overview$", project_overview.index, name="overview"),
        re_path(rf"^p/{_PROJECT}/-/activity$", activity.of_project, name="activity"),
        re_path(rf"^p/{_PROJECT}/-/audit$", audit_logs.of_project, name="audit"),
        re_path(rf"^{_IMMUTABLE}$", immutable_rules.index, name="immutable_rules"),
        re_path(rf"^{_RULE}$", immutable_rules.edit, name="immutable_rule"),
        re_path(rf"^{_RULE}/switch$", immutable_rules.switch, name="switch_immutable_rule"),
        re_path(rf"^{_RULE}/delete$", immutable_rules.delete, name="delete_immutable_rule"),
        re_path(rf"^p/{_PROJECT}/-/labels$", labels.index, name="labels"),
        re_path(rf"^{_LABEL}$", labels.edit, name="label"),
        re_path(rf"^{_LABEL}/delete$", labels.delete, name="delete_label"),
        re_path(rf"^p/{_PROJECT}/-/retention$", retention.index, name="retention"),
        re_path(rf"^p/{_PROJECT}/-/retention/run$", retention.start, name="start_retention"),
        re_path(rf"^p/{_PROJECT}/-/retention/delete$", retention.delete, name="delete_retention"),
        re_path(rf"^p/{_PROJECT}/-/retention/export$", retention.export, name="retention_export"),
        re_path(rf"^p/{_PROJECT}/-/retention/pin$", retention.pin, name="pin"),
        re_path(rf"^p/{_PROJECT}/-/trash$", trash.index, name="trash"),
        re_path(rf"^{_ENTRY}$", trash.detail, name="trash_entry"),
        re_path(rf"^{_ENTRY}/restore$", trash.restore, name="trash_restore"),
        re_path(rf"^{_ENTRY}/purge$", trash.purge, name="trash_purge"),
        re_path(rf"^{_RUN}$", trash.run, name="run"),
        re_path(rf"^{_RUN}/undo$", trash.undo, name="undo_run"),
    ],
    "projects",
)
repository_patterns = (
    [
        re_path(rf"^{_IMAGE}$", artifacts.by_digest, name="image"),
        re_path(rf"^{_IMAGE}/copy$", artifact_actions.copy, name="copy_image"),
        re_path(rf"^{_IMAGE}/tag$", artifact_actions.add_tag, name="tag_image"),
        re_path(rf"^{_IMAGE}/label$", artifact_actions.label, name="image_label"),
        re_path(rf"^{_REPOSITORY}/-/images/{_DIGEST}/layers$", layers.index, name="layers"),
        re_path(rf"^{_REPOSITORY}/-/images/{_DIGEST}/file$", layers.preview, name="layer_file"),
        re_path(rf"^{_REPOSITORY}/-/tags/{_TAG}$", artifacts.by_tag, name="tag"),
        re_path(rf"^{_REPOSITORY}/-/delete$", deletion.index, name="delete"),
        re_path(rf"^{_REPOSITORY}/-/images$", repositories.images, name="images"),
        re_path(rf"^{_REPOSITORY}/-/history$", tag_history.index, name="history"),
        re_path(
            rf"^{_REPOSITORY}/-/history/(?P<state_id>[0-9]{{1,18}})/restore$",
            tag_history.restore,
            name="restore_state",
        ),
        re_path(rf"^{_REPOSITORY}/-/about$", repository_about.index, name="about"),
        re_path(rf"^{_REPOSITORY}/-/about/edit$", repository_about.edit, name="edit_about"),
        re_path(rf"^{_REPOSITORY}/-/remove-tags$", tag_removal.index, name="remove_tags"),
        re_path(rf"^{_REPOSITORY}$", repositories.detail, name="detail"),
    ],
    "repositories",
)
job_patterns = (
    [
        path("", jobs.index, name="list"),
        path("tray", jobs.tray_link, name="tray"),
        path("<int:execution_id>", jobs.detail, name="detail"),
        path("<int:execution_id>/report", reports.index, name="report"),
        path("<int:execution_id>/stop", jobs.stop, name="stop"),
        path("start/<slug:kind>", jobs.start, name="start"),
        path("queues", jobs.queue_list, name="queues"),
        path("queues/<slug:kind>/<slug:action>", jobs.act_on_queue, name="queue_action"),
        path("schedules", schedules.index, name="schedules"),
        path("schedules/<int:schedule_id>", schedules.edit, name="schedule"),
        path("schedules/<int:schedule_id>/switch", schedules.switch, name="schedule_switch"),
    ],
    "jobs",
)
administration_patterns = (
    [
        path("users", users.index, name="users"),
        path("users/new", users.create, name="create_user"),
        path("users/<int:user_id>", users.detail, name="user"),
        path("users/<int:user_id>/reset", users.reset, name="reset_user"),
        path("users/<int:user_id>/delete", users.remove, name="delete_user"),
        path("users/<int:user_id>/switch/<slug:name>", users.switch, name="switch_user"),
        path("audit", audit_logs.index, name="audit"),
        path("registries", registries.index, name="registries"),
        path("registries/new", registries.create, name="new_registry"),
        path("registries/<int:registry_id>", registries.edit, name="registry"),
        path("registries/<int:registry_id>/check", registries.check, name="check_registry"),
        path("registries/<int:registry_id>/delete", registries.delete, name="delete_registry"),
        path("replication", replication.index, name="replication"),
        path("replication/new", replication.create, name="new_replication"),
        path("replication/<int:policy_id>", replication.detail, name="replication_policy"),
        path("replication/<int:policy_id>/edit", replication.edit, name="edit_replication"),
        path("replication/<int:policy_id>/run", replication.start, name="start_replication"),
        path("replication/<int:policy_id>/delete", replication.delete, name="delete_replication"),
        path("trash", trash.everywhere, name="trash"),
        path("storage", storage.index, name="storage"),
        path("storage/measure", storage.measure, name="measure_storage"),
        path("garbage", garbage.index, name="garbage"),
        path("garbage/run", garbage.start, name="run_garbage"),
        path("garbage/schedule", garbage.plan, name="garbage_schedule"),
        path("garbage/<int:execution_id>", garbage.detail, name="garbage_run"),
        path("garbage/<int:execution_id>/stop", garbage.stop, name="stop_garbage"),
        path("robots", robots.index, name="robots"),
        path("robots/new", robots.create, name="new_robot"),
        path("robots/<int:robot_id>", robots.detail, name="robot"),
        path("robots/<int:robot_id>/edit", robots.edit, name="edit_robot"),
        path("robots/<int:robot_id>/secret", robots.refresh, name="refresh_robot"),
        path("robots/<int:robot_id>/switch", robots.switch, name="switch_robot"),
        path("robots/<int:robot_id>/delete", robots.delete, name="delete_robot"),
        path("quotas", quotas.index, name="quotas"),
        path("quotas/<int:project_id>", quotas.change, name="quota"),
        path("settings", system_settings.index, name="settings"),
        path("settings/allowlist", system_settings.allowlist, name="allowlist"),
        path("settings/building-blocks", gallery.index, name="gallery"),
        path("labels", labels.index, name="labels"),
        path("labels/<int:label_id>", labels.edit, name="label"),
        path("labels/<int:label_id>/delete", labels.delete, name="delete_label"),
    ],
    "administration",
)

urlpatterns = [
    path("", home.index, name="home"),
    path("compare", compare.index, name="compare"),
    path("activity", activity.index, name="activity"),
    path("search", search.index, name="search"),
    path("mirror", mirror.index, name="mirror"),
    path("api-reference", reference.index, name="reference"),
    path("account/", include(account_patterns)),
    path("admin/", include(administration_patterns)),
    path("jobs/", include(job_patterns)),
    path("", include(project_patterns)),
    path("", include(repository_patterns)),
]
