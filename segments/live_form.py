"""The form of a segment of Live Behavior: from what people type to its definition, and back."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from django import forms
from django.core.exceptions import ValidationError

from profiles.models import Project
from segments.audience.operators import OPERATORS, Takes
from segments.audience.values import BadQuery
from segments.finding import address
from segments.finding.builder.canonical import as_text
from segments.models import Segment, SegmentType

MOST_CONDITIONS: Final = 20
_LONGEST: Final = 1024
HINT: Final = "Several values are parted by commas: Pune, Goa. Between takes two: 100, 500. Dates are written 2026-11-24."


def read_link(text: str) -> Any:
    """Return the query that an address of Find People holds; the bare JSON of one is taken too.

    Raises ValidationError.
    """
    found = [text] if text.startswith("{") else parse_qs(urlsplit(text).query).get("q", [])
    if len(found) != 1:
        raise ValidationError("This is no address of Find People with a query: copy it from there, whole.")
    try:
        return address.read(found[0])
    except BadQuery as error:
        raise ValidationError(error.message) from error


def _write_link(project: Project, query: Any) -> str:
    try:
        return address.find_people_at(project=project, query=query)
    except address.TooLong:
        return as_text(query)


# ---- values


def read_value(text: str, *, op: str, seen: Sequence[object]) -> Any:
    """Return what an operator takes from what was typed, of the type that values of the property were `seen` to have.

    Raises ValidationError.
    """
    takes, text = OPERATORS[op].takes, text.strip()
    if takes is Takes.NOTHING:
        return None
    if not text:
        raise ValidationError(f"“{OPERATORS[op].label}” needs {takes.value}.")
    if takes is Takes.SCALARS:
        return [_typed(each, seen) for each in _parts(text)]
    if takes is Takes.RANGE:
        parts = _parts(text)
        numbers = [_number(each) for each in parts]
        return parts if None in numbers else numbers
    if takes is Takes.NUMBER:
        number = _number(text)
        if number is None:
            raise ValidationError(f"“{text[:40]}” is no number.")
        return number
    return _typed(text, seen) if takes is Takes.SCALAR else text


def write_value(value: Any) -> str:
    """Return a stored value as it would be typed."""
    if isinstance(value, list):
        return ", ".join(f'"{each}"' if isinstance(each, str) and "," in each else write_value(each) for each in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and _number(value) is not None:
        return f'"{value}"'
    return "" if value is None else str(value)


def _parts(text: str) -> list[str]:
    return [each.strip() for each in next(csv.reader([text], skipinitialspace=True)) if each.strip()]


def _number(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) != float("inf") and number == number else None  # noqa: PLR0124  not a number is itself not


def _typed(text: str, seen: Iterable[object]) -> Any:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    kinds = {type(each) for each in seen}
    if kinds == {bool} and text.lower() in {"true", "false", "yes", "no"}:
        return text.lower() in {"true", "yes"}
    if kinds and kinds <= {int, float}:
        number = _number(text)
        return text if number is None else number
    return text


# ---- the form


class ConditionForm(forms.Form):
    """One condition on a property of the event; without a property it is none."""

    property = forms.CharField(
        max_length=_LONGEST, required=False, widget=forms.TextInput(attrs={"list": "live-properties", "autocomplete": "off"})
    )
    op = forms.ChoiceField(
        label="Operator",
        choices=[(name, operator.label) for name, operator in OPERATORS.items()],
        widget=forms.Select(attrs={"class": "form-select"}),
        required=False,
    )
    value = forms.CharField(
        max_length=_LONGEST * 4, required=False, strip=True, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )


ConditionForms = forms.formset_factory(ConditionForm, extra=1, max_num=MOST_CONDITIONS, absolute_max=MOST_CONDITIONS)


class LiveForm(forms.Form):
    """A name, the event, and who must be among whom."""

    name = forms.CharField(max_length=255, error_messages={"required": "Give the segment a name."})
    event = forms.CharField(
        label="As soon as the user does",
        max_length=_LONGEST,
        widget=forms.TextInput(attrs={"list": "live-events", "autocomplete": "off"}),
        error_messages={"required": "Choose the event by which people join."},
    )
    people_segment = forms.ChoiceField(
        label="Only people of a saved segment", required=False, widget=forms.Select(attrs={"class": "form-select"})
    )
    people_link = forms.CharField(
        label="Or a Find People address",
        required=False,
        max_length=20_000,
        help_text="Build the query in Find People, then copy the whole address from there.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, project: Project, segment: Segment | None = None) -> None:
        """Show what is stored of a segment, and offer the saved ones."""
        self.project = project
        saved = Segment.objects.filter(project=project, type=SegmentType.PAST_BEHAVIOR, archived_at=None).order_by("name")
        ids = list(saved.values_list("pk", "name")[:1000])
        super().__init__(data, initial=self._initial(segment, {each for each, _ in ids}), auto_id="live_%s")
        field = self.fields["people_segment"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [("", "Everybody who does it"), *((str(each), name) for each, name in ids)]

    def _initial(self, segment: Segment | None, offered: set[int]) -> dict[str, Any]:
        if segment is None or segment.query is None:
            return {}
        initial = {"name": segment.name, "event": segment.query["event"]}
        people = segment.query["people"]
        for each in offered:
            if people == {"segments": {"include": [each]}}:
                return initial | {"people_segment": str(each)}
        return initial | ({} if people is None else {"people_link": _write_link(self.project, people)})

    def clean_people_link(self) -> Any:
        """Return the query of the address, None without one."""
        text = self.cleaned_data["people_link"].strip()
        return read_link(text) if text else None

    def clean(self) -> dict[str, Any]:
        """Take one of the two ways to say who."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("people_segment") and cleaned.get("people_link"):
            self.add_error("people_link", "Choose a segment or give an address, not both.")
        return cleaned

    def people(self) -> Any:
        """Return the query of those who may join, None for everybody."""
        chosen = self.cleaned_data.get("people_segment")
        return {"segments": {"include": [int(chosen)]}} if chosen else self.cleaned_data.get("people_link")

    def refuse(self, error: BadQuery, conditions: Any) -> None:
        """Show what is wrong with a definition at the field that it came from."""
        rows = [form for form in conditions if form.cleaned_data.get("property")]
        if error.place == "event":
            self.add_error("event", error.message)
        elif error.place.startswith("people"):
            self.add_error("people_segment" if self.cleaned_data.get("people_segment") else "people_link", str(error.message))
        elif error.place.startswith("where["):
            number, _, part = error.place.removeprefix("where[").partition("].")
            rows[int(number)].add_error(part if part in {"property", "op"} else "value", error.message)
        else:
            self.add_error(None, error.message)


def show_conditions(segment: Segment | None) -> list[dict[str, str]]:
    """Return the stored conditions as they would be typed."""
    if segment is None or segment.query is None:
        return []
    return [
        {"property": each["property"], "op": each["op"], "value": write_value(each.get("value"))}
        for each in segment.query["where"]
    ]


def read_conditions(conditions: Any, *, seen: Mapping[str, Sequence[object]]) -> list[dict[str, Any]] | None:
    """Return the conditions that were typed, None when one of them cannot be read; it then says so itself."""
    found: list[dict[str, Any]] = []
    is_fine = True
    for form in conditions:
        name, op = form.cleaned_data.get("property"), form.cleaned_data.get("op") or "equals"
        if not name:
            if form.cleaned_data.get("value"):
                form.add_error("property", "Name the property that this is the value of.")
                is_fine = False
            continue
        try:
            value = read_value(form.cleaned_data.get("value") or "", op=op, seen=seen.get(name, ()))
        except ValidationError as error:
            form.add_error("value", error)
            is_fine = False
            continue
        found.append({"property": name, "op": op} | ({} if value is None else {"value": value}))
    return found if is_fine else None
