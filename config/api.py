"""Addresses of the API: /api/v1/, its OpenAPI document and the page that shows it."""

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

import config.openapi  # noqa: F401  registers itself
from config.health import health

v1: list[URLPattern | URLResolver] = [
    path("health/", health, name="health"),
    path("", include("segments.api")),
    path("", include("segments.people_api")),
    path("", include("segments.search_api")),
    path("", include("integrations.api")),
]

# Swagger UI styles its parts inline and draws its icons as data: images; its scripts are files like all others here.
docs = csp_update({"style-src": [UNSAFE_INLINE], "img-src": ["data:"], "script-src": [SELF]})(
    SpectacularSwaggerSplitView.as_view(url_name="schema"),
)


urlpatterns = [
    path("v1/", include(v1)),
    path("schema/", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[]), name="schema"),
    path("docs/", docs, name="docs"),
]
