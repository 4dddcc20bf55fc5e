"""What the gateway process answers: the registry protocol and its token service."""

from django.urls import include, path

handler404 = "portal.errors.gateway_not_found"
handler500 = "portal.errors.gateway_failure"

urlpatterns = [
    path("service/", include("accounts.urls")),
    path("", include("registry_sync.gateway.urls")),
]
