"""URLs of the token service."""

from django.urls import path

from accounts import views

urlpatterns = [path("token", views.token, name="token")]
