"""Addresses under a project's /p/{project id}/."""

from django.urls import path

from integrations import erasure_views, sync_views, views

urlpatterns = [
    path("settings/project/", views.settings_project, name="settings-project"),
    path("settings/project/state/", views.standing, name="settings-project-state"),
    path("settings/project/calls/", views.calls, name="settings-project-calls"),
    path("settings/project/details/", views.project_details, name="settings-project-details"),
    path("settings/project/guard/", views.project_guard, name="settings-project-guard"),
    path("settings/project/passcodes/", views.passcodes, name="passcodes"),
    path("settings/project/passcodes/<int:passcode_id>/rotate/", views.passcode_rotate, name="passcode-rotate"),
    path("settings/project/passcodes/<int:passcode_id>/revoke/", views.passcode_revoke, name="passcode-revoke"),
    path("settings/project/test-cohort/", views.test_cohort_send, name="test-cohort"),
    path("settings/project/test-cohort/remove/", views.test_cohort_remove, name="test-cohort-remove"),
    path("settings/project/erasures/", erasure_views.erasures, name="erasures"),
    path("connection-summary/", sync_views.connection_summary, name="connection-summary"),
    path(
        "segments/<int:segment_id>/syncs/<int:sync_id>/arrived/<identity:identity>/",
        sync_views.sync_arrived,
        name="sync-arrived",
    ),
    path("segments/<int:segment_id>/syncs/<int:sync_id>/retry/", sync_views.sync_retry, name="sync-retry"),
    path("segments/<int:segment_id>/syncs/<int:sync_id>/replay/", sync_views.sync_replay, name="sync-replay"),
    path("segments/<int:segment_id>/syncs/<int:sync_id>/release/", sync_views.sync_release, name="sync-release"),
    path("segments/<int:segment_id>/syncs/<int:sync_id>/discard/", sync_views.sync_discard, name="sync-discard"),
    path("segments/syncs/<int:sync_id>/retry/", sync_views.sync_retry, name="sync-retry"),
    path("segments/syncs/<int:sync_id>/replay/", sync_views.sync_replay, name="sync-replay"),
]
