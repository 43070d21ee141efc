"""Sign-in, password, and where a person lands."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_safe

from profiles.models import Project, User


class SignIn(LoginView):
    """Lets a person in; throttled by django-axes."""

    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True


class ChangePassword(PasswordChangeView):
    """Lets a person choose a new password."""

    template_name = "accounts/password_change.html"
    success_url = reverse_lazy("home")

    def form_valid(self, form: Any) -> HttpResponse:
        """Say that it was changed."""
        messages.success(self.request, "Your password was changed. Other browsers have been signed out.")
        return super().form_valid(form)


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Lead to the last used project."""
    user = cast("User", request.user)
    projects = Project.objects.filter(roles__user=user)
    project = projects.filter(users_last=user).first() or projects.order_by("pk").first()
    if project is None:
        return render(request, "accounts/no_project.html")
    return redirect("segments", project.public_id)
