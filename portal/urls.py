"""Every address of the web process: pages, API, and what the gateway answers.

nginx sends ``/v2/`` and ``/service/`` to the gateway process; they are here too, so that one
process can serve everything where there is no nginx.
"""

from django.urls import include, path

from portal import gateway_urls
from portal.metrics import metrics

urlpatterns = [
    path("", include("portal.web.urls")),
    path("api/", include("portal.api.urls")),
    path("metrics", metrics),
    *gateway_urls.urlpatterns,
]

handler400 = "portal.web.errors.bad_request"
handler403 = "portal.web.errors.permission_denied"
handler404 = "portal.web.errors.page_not_found"
handler500 = "portal.web.errors.server_error"
