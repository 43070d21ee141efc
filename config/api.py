"""Addresses of the API: /api/v1/, its OpenAPI document and the page that shows it."""

from django.urls import URLPattern, URLResolver, include, path

from config.health import health
from config.openapi import docs, schema

v1: list[URLPattern | URLResolver] = [
    path("health/", health, name="health"),
    path("", include("segments.api")),
    path("", include("segments.people_api")),
    path("", include("segments.search_api")),
    path("", include("segments.usage.api")),
    path("", include("integrations.api")),
    path("", include("integrations.erasure_api")),
]

urlpatterns = [
    path("v1/", include(v1)),
    path("schema/", schema, name="schema"),
    path("docs/", docs, name="docs"),
]
