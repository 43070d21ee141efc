"""Addresses below /1/. CleverTap writes most with .json; both forms are taken, each with and without its last slash."""

from django.urls import URLPattern, path

from integrations.compat import reading, views
from integrations.compat.base import CompatView

_CALLS: dict[str, type[CompatView]] = {
    "profile.json": reading.OneProfile,
    "profiles.json": reading.Profiles,
    "events.json": reading.Events,
    "counts/profiles.json": reading.CountProfiles,
    "counts/events.json": reading.CountEvents,
    "delete/profiles.json": views.DeleteProfiles,
}

urlpatterns: list[URLPattern] = [
    path("upload/", views.Upload.as_view(), name="compat-upload"),
    path("upload.json/", views.Upload.as_view(schema=None)),
    *(path(f"{name}/", view.as_view(), name=f"compat-{view.__name__.lower()}") for name, view in _CALLS.items()),
    *(path(f"{name.removesuffix('.json')}/", view.as_view(schema=None)) for name, view in _CALLS.items()),
]
