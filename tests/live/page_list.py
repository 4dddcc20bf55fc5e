"""Every page, by the name of its address, with a path that shows something.

A new page is one line in ``PAGES``; an address that only changes something, one in ``ACTIONS``.
``{name}`` is filled from what ``page_scene.make`` returns. ``tests/portal/web/test_page_list.py``
fails until every address has a row, ``test_every_page.py`` looks at each in a browser.
"""

PAGES = {
    "home": "/",
    "search": "/search?q=hello",
    "mirror": "/mirror?for=podman",
    "reference": "/api-reference",
    # --- One's own account ---
    "account:tokens": "/account/tokens",
    "account:security": "/account/security",
    # --- Projects ---
    "projects:list": "/p/",
    "projects:create": "/p/-/new",
    "projects:deleted": "/p/-/trash",
    "projects:detail": "/p/{project}",
    "projects:overview": "/p/{project}/-/overview",
    "projects:activity": "/p/{project}/-/activity",
    "projects:members": "/p/{project}/-/members",
    "projects:robots": "/p/{project}/-/robots",
    "projects:new_robot": "/p/{project}/-/robots/new",
    "projects:robot": "/p/{project}/-/robots/{robot}",
    "projects:edit_robot": "/p/{project}/-/robots/{robot}/edit",
    "projects:settings": "/p/{project}/-/settings",
    "projects:layer_policy": "/p/{project}/-/settings/layers",
    "projects:allowlist": "/p/{project}/-/settings/allowlist",
    "projects:rename": "/p/{project}/-/settings/name",
    "projects:delete": "/p/{project}/-/settings/delete",
    "projects:labels": "/p/{project}/-/labels",
    "projects:label": "/p/{project}/-/labels/{label}",
    "projects:immutable_rules": "/p/{project}/-/settings/immutable",
    "projects:immutable_rule": "/p/{project}/-/settings/immutable/{immutable_rule}",
    "projects:trash": "/p/{project}/-/trash",
    "projects:trash_entry": "/p/{project}/-/trash/{trash_entry}",
    "projects:run": "/p/{project}/-/runs/{run}",
    # --- Repositories and what is in them ---
    "repositories:detail": "/p/{project}/tools/hello",
    "repositories:images": "/p/{project}/tools/hello/-/images",
    "repositories:history": "/p/{project}/tools/hello/-/history",
    "repositories:about": "/p/{project}/tools/hello/-/about",
    "repositories:edit_about": "/p/{project}/tools/hello/-/about/edit",
    "repositories:delete": "/p/{project}/tools/hello/-/delete?tag=1.0",
    "repositories:tag": "/p/{project}/tools/hello/-/tags/1.0",
    "repositories:image": "/p/{project}/several/-/images/{index}",
    "repositories:copy_image": "/p/{project}/tools/hello/-/images/{image}/copy",
    "repositories:tag_image": "/p/{project}/tools/hello/-/images/{image}/tag",
    "repositories:layers": "/p/{project}/tools/hello/-/images/{image}/layers",
    "repositories:layer_file": "/p/{project}/tools/hello/-/images/{image}/file?layer=1&file=hello",
    "compare": "/compare?base={project}/tools/hello:1.0&head={project}/tools/hello@{image}",
    # --- Jobs ---
    "jobs:list": "/jobs/",
    "jobs:detail": "/jobs/{execution}",
    "jobs:queues": "/jobs/queues",
    "jobs:schedules": "/jobs/schedules",
    "jobs:schedule": "/jobs/schedules/{schedule}",
    # --- Administration ---
    "administration:users": "/admin/users",
    "administration:create_user": "/admin/users/new",
    "administration:user": "/admin/users/{user}",
    "administration:audit": "/admin/audit",
    "administration:trash": "/admin/trash",
    "administration:robots": "/admin/robots",
    "administration:new_robot": "/admin/robots/new",
    "administration:robot": "/admin/robots/{system_robot}",
    "administration:edit_robot": "/admin/robots/{system_robot}/edit",
    "administration:quotas": "/admin/quotas",
    "administration:settings": "/admin/settings",
    "administration:allowlist": "/admin/settings/allowlist",
    "administration:gallery": "/admin/settings/building-blocks",
    "administration:labels": "/admin/labels",
    "administration:label": "/admin/labels/{system_label}",
}

# The same pages once more, where they look different.
MORE = (
    "/search",
    "/search?q=there+is+no+such+thing",
    "/p/?q=nothing-is-called-that",
    "/p/{empty}",
    "/p/{project}/several",
    "/admin/audit?action=delete_tag&outcome=denied",
    "/admin/users?q=nobody-is-called-that",
)

# Looked at by who has not signed in.
OUTSIDE = {
    "account:sign_in": "/account/sign-in",
    "account:forgotten": "/account/forgotten",
    "account:reset": "/account/reset?key={reset}",
}

# They answer to POST alone.
ACTIONS = frozenset(
    {
        "account:end_session",
        "account:language",
        "account:revoke_token",
        "account:sign_out",
        "account:theme",
        "administration:delete_label",
        "administration:delete_robot",
        "administration:delete_user",
        "administration:quota",
        "administration:refresh_robot",
        "administration:reset_user",
        "administration:switch_robot",
        "administration:switch_user",
        "jobs:queue_action",
        "jobs:schedule_switch",
        "jobs:start",
        "jobs:stop",
        "projects:delete_immutable_rule",
        "projects:delete_label",
        "projects:delete_robot",
        "projects:member",
        "projects:purge",
        "projects:refresh_robot",
        "projects:restore",
        "projects:switch_immutable_rule",
        "projects:switch_robot",
        "projects:trash_purge",
        "projects:trash_restore",
        "projects:undo_run",
        "repositories:image_label",
        "repositories:remove_tags",
        "repositories:restore_state",
    }
)
# They answer with a part of a page.
PARTS = frozenset({"jobs:tray"})
