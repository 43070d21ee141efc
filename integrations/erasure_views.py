"""Erasing a person: what goes, the typed confirmation, and the record of whom was erased when."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from integrations.erasure import erase_people, list_erasures, read_traces, was_erased
from profiles import queries
from profiles.http import ProjectRequest, require_role
from profiles.models import Profile, Role
from segments.queries import Page

REFUSED_FORM: Final = 422  # HTMX swaps it in like a good answer (base.html)
PAGE_SIZE: Final = 50


class EraseForm(forms.Form):
    """Asks for the identity once more, so that nobody is erased by a slip."""

    identity = forms.CharField(
        label="Type the Identity to confirm",
        strip=False,
        max_length=1024,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "id"}),
        error_messages={"required": "Nothing was erased: type the Identity as it stands above."},
    )

    def __init__(self, *args: Any, profile: Profile, **options: Any) -> None:
        """Take the person."""
        super().__init__(*args, **options)
        self.profile = profile

    def clean_identity(self) -> str:
        """Take it as it is, with spaces around it or not."""
        typed = str(self.cleaned_data["identity"])
        if self.profile.identity not in {typed, typed.strip()}:
            raise forms.ValidationError(
                "This is not the Identity of this person. Nothing was erased: compare it letter by letter."
            )
        return typed


@require_role(Role.ADMIN, "GET", "HEAD", "POST")
@never_cache
@sensitive_post_parameters()
def erase(request: ProjectRequest, identity: str) -> HttpResponse:
    """Say what goes with a person, and erase them once their identity has been typed."""
    profile = queries.find_profile(project=request.project, identity=identity)
    if profile is None:
        raise Http404
    form = EraseForm(request.POST if request.method == "POST" else None, profile=profile)
    if request.method == "POST" and form.is_valid():
        by, now = str(request.user), timezone.now()
        if not erase_people(project=request.project, profile_ids=[profile.pk], asked_by=by, now=now):
            raise Http404
        said = "What is kept is that it was done, when and by whom. Nothing of the person is."
        messages.success(request, f"The person is erased\n{said}")
        return redirect("erasures", request.project.public_id)
    context = {"profile": profile, "traces": read_traces(profile=profile), "form": form}
    return render(request, "integrations/erase.html", context, status=REFUSED_FORM if form.errors else 200)


@require_role(Role.ADMIN, "GET", "HEAD", "POST")
@never_cache
@sensitive_post_parameters()
def erasures(request: ProjectRequest) -> HttpResponse:
    """List the erasures; tell of an identity whether somebody who had it was erased. It is sent, never in the address."""
    asked = request.POST.get("identity", "")[:1024] if request.method == "POST" else ""
    number = request.GET.get("page", "1")
    found = list_erasures(project=request.project)
    page = Page(
        number=int(number) if number.isascii() and number.isdecimal() and 0 < len(number) < 6 and int(number) else 1,  # noqa: PLR2004  no list has more pages
        total=found.count(),
        size=PAGE_SIZE,
    )
    context = {
        "erasures": [(each, each.removed.get("stored pages", 0)) for each in found[page.start : page.start + page.size]],
        "page": page,
        "asked": asked,
        "answer": was_erased(project=request.project, identity=asked) if asked else None,
        "is_there": bool(asked) and queries.find_profile(project=request.project, identity=asked) is not None,
        "settings_url": reverse("settings-project", args=[request.project.public_id]),
    }
    return render(request, "integrations/erasures.html", context)
