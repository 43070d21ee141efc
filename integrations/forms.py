"""What people may type on the settings page."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from django import forms

from profiles.models import Project

# The areas of the time zone database that are places; the rest are old names and fixed offsets.
_AREAS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


def timezone_choices(*, current: str) -> list[tuple[str, Any]]:
    """Return the time zones by area, the one in use among them whatever it is called."""
    names = sorted(available_timezones())
    grouped: list[tuple[str, Any]] = [("UTC", "UTC")]
    for area in _AREAS:
        zones = [(name, name.replace("_", " ")) for name in names if name.startswith(f"{area}/")]
        grouped.append((area, zones))
    if current != "UTC" and not current.startswith(tuple(f"{area}/" for area in _AREAS)):
        grouped.insert(0, (current, current))
    return grouped


class ProjectForm(forms.Form):
    """A project's name and the time zone in which its pages show times."""

    name = forms.CharField(max_length=200, error_messages={"required": "A project has a name."})
    timezone = forms.ChoiceField(
        label="Time zone",
        help_text="Times are shown in it, and a segment's days begin and end by it from now on.",
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, project: Project) -> None:
        """Show what is stored, and offer the time zones."""
        super().__init__(data, initial={"name": project.name, "timezone": project.timezone}, auto_id="project_%s")
        field = self.fields["timezone"]
        if isinstance(field, forms.ChoiceField):
            field.choices = timezone_choices(current=project.timezone)


class GuardForm(forms.Form):
    """The share of a segment above which a sync is held (partner-sync.md §5)."""

    guard_pct = forms.IntegerField(
        label="Hold a sync that would remove more than",
        required=False,
        min_value=0,
        max_value=100,
        help_text="Per cent of the people in a segment, from 0 to 100. 0 holds any removal. Left empty, nothing is held.",
        widget=forms.NumberInput(attrs={"inputmode": "numeric", "placeholder": "Off", "step": "1"}),
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"), "A whole number from 0 to 100, or nothing to hold no sync."
        ),
    )


class PasscodeForm(forms.Form):
    """The name of a new passcode."""

    name = forms.CharField(
        max_length=100,
        help_text="Where it will be used, for instance mixpanel-prod.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Give it a name, so that you know later which one to rotate."},
    )


class TestCohortForm(forms.Form):
    """An Identity that goes along with the test cohort."""

    __test__ = False  # its name begins like that of a test

    identity = forms.CharField(
        label="Identity of a person you know",
        required=False,
        max_length=1024,
        help_text="Optional. It is sent as $CleverTap_user_id, to see whether its profile is recognised.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
