"""Every address of the product."""

from django.contrib import admin
from django.urls import include, path

from integrations import erasure_views
from segments import profile_views

urlpatterns = [
    path("", include("profiles.urls")),
    path("p/<str:project_id>/profiles/<identity:identity>/erase/", erasure_views.erase, name="profile-erase"),
    path("p/<str:project_id>/profiles/<identity:identity>/", profile_views.profile, name="profile"),
    path("p/<str:project_id>/", include("segments.urls")),
    path("p/<str:project_id>/", include("integrations.urls")),
    path("partners/mixpanel/", include("integrations.mixpanel.urls")),
    path("1/", include("integrations.compat.urls")),
    path("api/", include("config.api")),
    path("admin/", admin.site.urls),
]

handler400 = "profiles.http.bad_request"
handler403 = "profiles.http.forbidden"
handler404 = "profiles.http.not_found"
handler500 = "profiles.http.server_error"
