"""Addresses under a project's /p/{project id}/."""

from django.urls import path

from segments import list_views, people_views, statistics_views, sync_views, type_views
from segments.downloads import views as download_views
from segments.finding import panels
from segments.finding import views as find_views
from segments.overlap import views as overlap_views
from segments.uploads import views as upload_views
from segments.usage import views as usage_views
from segments.why import views as why_views

urlpatterns = [
    path("segments/", list_views.segments, name="segments"),
    path("segments/find-people/", find_views.find_people, name="find-people"),
    path("segments/find-people/by-property/", panels.by_property, name="find-by-property"),
    path("segments/find-people/by-day/", panels.by_day, name="find-by-day"),
    path("segments/find-people/people/", panels.page, name="find-page"),
    path("segments/find-people/values/", panels.values, name="find-values"),
    path("segments/find-people/save/", find_views.save, name="find-save"),
    path("segments/downloads/", download_views.downloads, name="downloads"),
    path("segments/downloads/new/", download_views.new, name="download-new"),
    path("segments/downloads/<int:download_id>/", download_views.one, name="download"),
    path("segments/downloads/<int:download_id>/file/", download_views.file, name="download-file"),
    path("segments/downloads/<int:download_id>/stop/", download_views.stop, name="download-stop"),
    path("segments/downloads/<int:download_id>/delete/", download_views.delete, name="download-delete"),
    path("segments/overlap/", overlap_views.compare, name="segments-overlap"),
    path("segments/syncs/", sync_views.syncs, name="syncs"),
    path("segments/syncs/<int:sync_id>/", sync_views.sync, name="sync"),
    path("segments/new/", type_views.segment_new, name="segment-new"),
    path("segments/new/live/", type_views.live_new, name="segment-new-live"),
    path("segments/new/list/", upload_views.list_new, name="segment-new-list"),
    path("segments/<int:segment_id>/", statistics_views.segment, name="segment"),
    path("segments/<int:segment_id>/archive/", type_views.segment_archive, name="segment-archive"),
    path("segments/<int:segment_id>/clone/", type_views.segment_clone, name="segment-clone"),
    path("segments/<int:segment_id>/edit/", type_views.segment_edit, name="segment-edit"),
    path("segments/<int:segment_id>/query/", type_views.segment_query, name="segment-query"),
    path("segments/<int:segment_id>/unarchive/", type_views.segment_unarchive, name="segment-unarchive"),
    path("segments/<int:segment_id>/uploads/", upload_views.segment_uploads, name="segment-uploads"),
    path("segments/<int:segment_id>/uploads/<int:upload_id>/", upload_views.segment_upload, name="segment-upload"),
    path(
        "segments/<int:segment_id>/uploads/<int:upload_id>/stop/", upload_views.segment_upload_stop, name="segment-upload-stop"
    ),
    path("segments/<int:segment_id>/by-property/", statistics_views.segment_property, name="segment-property"),
    path("segments/<int:segment_id>/reachability/", statistics_views.segment_reach, name="segment-reach"),
    path("segments/<int:segment_id>/people/", people_views.segment_people, name="segment-people"),
    path("segments/<int:segment_id>/people/<identity:identity>/why/", why_views.segment_why, name="segment-why"),
    path("segments/<int:segment_id>/delete/", type_views.segment_delete, name="segment-delete"),
    path("segments/<int:segment_id>/syncs/<int:sync_id>/", sync_views.sync, name="sync"),
    path("settings/usage/", usage_views.usage, name="settings-usage"),
]
