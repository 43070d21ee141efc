"""Addresses of accounts, and where a person lands."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from profiles import views

urlpatterns = [
    path("", views.home, name="home"),
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("password/", views.ChangePassword.as_view(), name="password-change"),
]
