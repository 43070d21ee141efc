"""The OpenAPI document of the API, and the page that shows it."""

from typing import Any

from csp.decorators import csp_update
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView


class PasscodeScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library carries no types
    """Names the two forms in which a passcode is sent."""

    target_class = "profiles.api.PasscodeAuthentication"
    name = ["passcode", "CleverTap account", "CleverTap passcode"]  # noqa: RUF012  the form that the library reads

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:  # noqa: ARG002  the library's signature
        """Describe each part."""
        return [
            {"type": "http", "scheme": "basic", "description": "The Project ID as user name, a passcode as password."},
            {"type": "apiKey", "in": "header", "name": "X-CleverTap-Account-Id", "description": "The Project ID."},
            {"type": "apiKey", "in": "header", "name": "X-CleverTap-Passcode", "description": "A passcode."},
        ]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[str]]]:  # noqa: ARG002  the library's signature
        """Say that either form is enough, the second with both headers."""
        return [{"passcode": []}, {"CleverTap account": [], "CleverTap passcode": []}]


schema = SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[])

# Swagger UI draws its icons as data: images; its styles and scripts are files like all others here.
docs = csp_update({"img-src": ["data:"]})(
    SpectacularSwaggerSplitView.as_view(
        url_name="schema", template_name="api/docs.html", authentication_classes=[], permission_classes=[]
    ),
)
