"""What the OpenAPI document says that cannot be read off the views."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class PasscodeScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library carries no types
    """How a server signs in."""

    target_class = "profiles.api.PasscodeAuthentication"
    name = "passcode"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002  the library's signature
        """Describe HTTP Basic."""
        return {"type": "http", "scheme": "basic", "description": "Project ID and passcode"}
