"""The registry protocol's URLs.

Each pattern is anchored on the path's *last* components, so that repositories may themselves be
called ``manifests``, ``blobs/uploads`` or ``tags/list``.
"""

from django.urls import path, re_path

from registry_sync.gateway import (
    base,
    blobs,
    catalog,
    manifests,
    mirror,
    precheck,
    referrers,
    tags,
    uploads,
)

urlpatterns = [
    path("_internal/upload_precheck", precheck.upload_precheck),
    re_path(r"^v2/?$", base.version),
    re_path(r"^v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)$", manifests.manifest),
    re_path(r"^v2/(?P<name>.+)/blobs/uploads/?$", uploads.start),
    re_path(r"^v2/(?P<name>.+)/blobs/(?P<digest>[^/]+)$", blobs.blob),
    re_path(r"^v2/(?P<name>.+)/tags/list$", tags.tag_list),
    re_path(r"^v2/(?P<name>.+)/referrers/(?P<digest>[^/]+)$", referrers.referrers),
    path("v2/_catalog", catalog.catalog),
    re_path(r"^v2/", base.unknown),
    # The mirror's listener (deploy/nginx-mirror.conf.template); the main one does not pass these.
    path("_mirror/service/token", mirror.token),
    re_path(r"^_mirror/v2/?$", mirror.version),
    re_path(r"^_mirror/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)$", mirror.manifest),
    re_path(r"^_mirror/v2/(?P<name>.+)/blobs/(?P<digest>[^/]+)$", mirror.blob),
    re_path(r"^_mirror/v2/(?P<name>.+)/tags/list$", mirror.tag_list),
    re_path(r"^_mirror/v2/(?P<name>.+)/referrers/(?P<digest>[^/]+)$", mirror.referrer_list),
    re_path(r"^_mirror/", base.unknown),
]
