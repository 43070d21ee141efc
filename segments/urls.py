"""Addresses under a project's /p/{project id}/."""

from django.urls import path

from segments import overlap_views, people_views, statistics_views, sync_views, views, why_views

urlpatterns = [
    path("segments/", views.segments, name="segments"),
    path("segments/overlap/", overlap_views.compare, name="segments-overlap"),
    path("segments/syncs/", sync_views.syncs, name="syncs"),
    path("segments/syncs/<int:sync_id>/", sync_views.sync, name="sync"),
    path("segments/<int:segment_id>/", statistics_views.segment, name="segment"),
    path("segments/<int:segment_id>/by-property/", statistics_views.segment_property, name="segment-property"),
    path("segments/<int:segment_id>/reachability/", statistics_views.segment_reach, name="segment-reach"),
    path("segments/<int:segment_id>/people/", people_views.segment_people, name="segment-people"),
    path("segments/<int:segment_id>/people/<identity:identity>/why/", why_views.segment_why, name="segment-why"),
    path("segments/<int:segment_id>/delete/", views.segment_delete, name="segment-delete"),
    path("segments/<int:segment_id>/syncs/<int:sync_id>/", sync_views.sync, name="sync"),
]
