"""The app at the bottom."""

from django.apps import AppConfig


class ProfilesConfig(AppConfig):
    """People and what they did."""

    name = "profiles"
