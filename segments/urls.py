"""Addresses under a project's /p/{project id}/."""

from django.urls import path

from segments import download_views, find_panels, find_views, people_views, sync_views, usage_views, views

urlpatterns = [
    path("segments/", views.segments, name="segments"),
    path("segments/find-people/", find_views.find_people, name="find-people"),
    path("segments/find-people/by-property/", find_panels.by_property, name="find-by-property"),
    path("segments/find-people/by-day/", find_panels.by_day, name="find-by-day"),
    path("segments/find-people/people/", find_panels.page, name="find-page"),
    path("segments/find-people/values/", find_panels.values, name="find-values"),
    path("segments/find-people/save/", find_views.save, name="find-save"),
    path("segments/downloads/", download_views.downloads, name="downloads"),
    path("segments/downloads/new/", download_views.new, name="download-new"),
    path("segments/downloads/<int:download_id>/", download_views.one, name="download"),
    path("segments/downloads/<int:download_id>/file/", download_views.file, name="download-file"),
    path("segments/downloads/<int:download_id>/stop/", download_views.stop, name="download-stop"),
    path("segments/downloads/<int:download_id>/delete/", download_views.delete, name="download-delete"),
    path("segments/syncs/", sync_views.syncs, name="syncs"),
    path("segments/syncs/<int:sync_id>/", sync_views.sync, name="sync"),
    path("segments/<int:segment_id>/", views.segment, name="segment"),
    path("segments/<int:segment_id>/by-property/", views.segment_property, name="segment-property"),
    path("segments/<int:segment_id>/reachability/", views.segment_reach, name="segment-reach"),
    path("segments/<int:segment_id>/people/", people_views.segment_people, name="segment-people"),
    path("segments/<int:segment_id>/delete/", views.segment_delete, name="segment-delete"),
    path("segments/<int:segment_id>/syncs/<int:sync_id>/", sync_views.sync, name="sync"),
    path("settings/usage/", usage_views.usage, name="settings-usage"),
]
