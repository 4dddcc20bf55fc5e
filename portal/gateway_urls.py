"""What the gateway process answers: the registry protocol and its token service."""

from django.urls import include, path

urlpatterns = [
    path("service/", include("accounts.urls")),
    path("", include("registry_sync.gateway.urls")),
]
