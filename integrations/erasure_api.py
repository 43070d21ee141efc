"""The API's calls about one person as a whole: who they are, and that they are erased."""

from typing import ClassVar

from django.http import Http404
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.erasure import erase_people
from profiles import queries
from profiles.api import project_of
from profiles.models import Role, User
from segments.people_api import ProfileDetail


class ErasableProfile(ProfileDetail):
    """A person, by their identity, one they had earlier, or a Mixpanel id."""

    needs: ClassVar[dict[str, Role]] = {"DELETE": Role.ADMIN}

    @extend_schema(
        operation_id="profile_erase",
        request=None,
        responses={204: None, 404: OpenApiResponse(description="There is no such person, or not any more.")},
    )
    def delete(self, request: Request, identity: str) -> Response:
        """Erase the person for good: profile, events, segments, reports, stored pages. It cannot be undone.

        Mixpanel brings them back as a new person when it names them again: remove them there first.
        """
        project = project_of(request)
        profile = queries.find_profile(project=project, identity=identity)
        by = str(request.user) if isinstance(request.user, User) else ""
        if profile is None or not erase_people(project=project, profile_ids=[profile.pk], asked_by=by, now=timezone.now()):
            raise Http404
        return Response(status=status.HTTP_204_NO_CONTENT)


urlpatterns = [path("profiles/<identity:identity>/", ErasableProfile.as_view(), name="api-profile")]
