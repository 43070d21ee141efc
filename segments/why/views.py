"""The page that says why somebody is in a segment, or is not."""

from typing import Any

from django.http import Http404, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from profiles import queries
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments.audience.values import BadQuery
from segments.definition import define
from segments.find import TooSlow, looking
from segments.views import find_segment
from segments.why import answer


@require_role(Role.MEMBER)
@never_cache
def segment_why(request: ProjectRequest, segment_id: int, identity: str) -> HttpResponseBase:
    """Say why a person is in a segment, or is not; an id they had earlier leads to their present address."""
    segment = find_segment(request, segment_id)
    profile = queries.find_profile(project=request.project, identity=identity)
    if profile is None:
        raise Http404
    if profile.identity != identity:
        return redirect(reverse("segment-why", args=[request.project.public_id, segment.pk, profile.identity]))
    context: dict[str, Any] = {"segment": segment, "profile": profile}
    try:
        with looking(project=request.project, now=timezone.now()) as finder:
            found = answer.explain(finder=finder, segment=segment, profile=profile)
            context |= {"why": found, "definition": define(finder=finder, segment=segment)}
    except BadQuery as error:
        context["broken"] = error
    except TooSlow:
        context["is_slow"] = True
    return render(request, "segments/why.html", context)
