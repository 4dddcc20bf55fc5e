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
]
