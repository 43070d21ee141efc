"""Addresses that Mixpanel calls."""

from django.urls import path

from integrations.mixpanel import views

urlpatterns = [
    path("connect/", views.connect, name="mixpanel-connect"),
    path("cohorts/", views.cohorts, name="mixpanel-cohorts"),
]
