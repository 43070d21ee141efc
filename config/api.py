"""Addresses of the API: /api/v1/, its OpenAPI document and the page that shows it."""

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config.health import health
from profiles.http import not_found

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


def unknown(request: HttpRequest) -> HttpResponseBase:
    """Answer an address that does not exist, in the API's form."""
    return not_found(request, Http404())


urlpatterns = [
    path("v1/", include(v1)),
    path("schema/", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[]), name="schema"),
    path("docs/", docs, name="docs"),
    re_path("", unknown),
]
