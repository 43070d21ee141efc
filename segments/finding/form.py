"""What a project has seen, for the form of Find People: names to choose from, values to suggest, segments by name."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from profiles.models import Project
from segments.audience.values import BadQuery
from segments.figures import Named
from segments.find import Finder
from segments.finding.builder.nodes import Act, Group, Sets, note, walk
from segments.finding.builder.query import Problem, to_query
from segments.models import Segment

SUGGESTED: Final = 30
_SEGMENTS_SUGGESTED: Final = 200
_NAMED_BY_ID: Final = re.compile(r".*\(#(\d{1,18})\)", re.DOTALL)


class Seen:
    """Looks up what the form needs, each thing once."""

    def __init__(self, finder: Finder) -> None:
        """Look up nothing yet."""
        self.finder = finder

    @cached_property
    def events(self) -> list[Named]:
        """Return the events of the project, the most frequent first."""
        return self.finder.events()

    def is_text(self, event: str | None, name: str, text: str) -> bool:
        """Tell whether a number or truth value that was typed is meant as a text: the property holds it, or all, as text."""
        if event is not None and not self.finder.event(event):
            return False
        alike = [each.value for each in self.finder.values(name, event=event, like=text, limit=SUGGESTED)]
        same = [each for each in alike if (each if isinstance(each, str) else str(each).lower()) == text]
        others = same or [each.value for each in self.finder.values(name, event=event, limit=SUGGESTED)]
        return bool(others) and all(isinstance(each, str) for each in others)

    def context(self, form: Group) -> dict[str, Any]:
        """Return what the templates of the form show beside it."""
        acts = [node for node in walk(form) if isinstance(node, Act)]
        sets = [node for node in walk(form) if isinstance(node, Sets)]
        known = {each.name for each in self.events}
        asked = {act.event for act in acts if act.where and act.event in known}
        context: dict[str, Any] = {
            "form": form,
            "events": self.events,
            "properties": self.finder.properties(),
            "event_properties": {event: self.finder.event_properties(event) for event in asked},
        }
        if sets:
            ids = [int(each) for node in sets for each in (*node.include, *node.exclude) if each.isdecimal() and len(each) < 19]  # noqa: PLR2004  digits of a bigint
            context["segment_names"] = name_segments(project=self.finder.project, ids=ids)
            context["segments"] = suggest_segments(project=self.finder.project, like="")
        return context


def read(form: Group, *, seen: Seen) -> tuple[Any, list[Problem]]:
    """Return the query that a form asks and what hinders it: what it lacks, what was never seen, what is wrong.

    Segments that were named are taken in.
    """
    problems = _take_in_segments(form, project=seen.finder.project)
    query, missing = to_query(form, is_text=seen.is_text)
    problems += missing
    if not problems:
        try:
            seen.finder.read(query)
        except BadQuery as error:
            problems.append(Problem(error.place, error.message, missing=False))
    return query, problems


def mark(form: Group, problems: list[Problem], *, missing: bool) -> None:
    """Write each problem where it is; those of parts not filled in yet only when they matter."""
    for problem in problems:
        if missing or not problem.missing:
            note(form, place=problem.place, message=problem.message)


def _take_in_segments(form: Group, *, project: Project) -> list[Problem]:
    problems = []
    for node in walk(form):
        if isinstance(node, Sets):
            for word in ("include", "exclude"):
                try:
                    _take_in(node, word, project=project)
                except LookupError as error:
                    problems.append(Problem(f"{node.place}.segments.{word}", str(error), missing=False))
    return problems


def _take_in(node: Sets, word: str, *, project: Project) -> None:
    typed, ids = (node.new_include, node.include) if word == "include" else (node.new_exclude, node.exclude)
    if not typed:
        return
    found = str(_find_segment(typed, project=project))
    if found not in ids:
        ids.append(found)
    if word == "include":
        node.new_include = ""
    else:
        node.new_exclude = ""


def _find_segment(typed: str, *, project: Project) -> int:
    """Return the segment that somebody named. Raises LookupError with a message."""
    segments = Segment.objects.filter(project=project)
    by_id = _NAMED_BY_ID.fullmatch(typed)
    if by_id and segments.filter(pk=int(by_id[1])).exists():
        return int(by_id[1])
    for way in ("name", "name__iexact"):
        found = list(segments.filter(**{way: typed}).values_list("pk", flat=True)[:2])
        if len(found) > 1:
            raise LookupError(f"Several segments are named “{typed}”. Choose one with its number from the list.")
        if found:
            return int(found[0])
    raise LookupError(f"There is no segment “{typed}”. Type a part of its name and choose it.")


def name_segments(*, project: Project, ids: list[int]) -> Mapping[str, str]:
    """Return the names of segments, {id as text: name}."""
    found = Segment.objects.filter(project=project, pk__in=ids).values_list("pk", "name")
    return {str(pk): name for pk, name in found}


def suggest_segments(*, project: Project, like: str) -> list[tuple[str, int]]:
    """Return names of segments that hold a text, with their sizes, largest first; those of one name with their number."""
    found = Segment.objects.filter(project=project, archived_at=None)
    if like:
        found = found.filter(name__icontains=like)
    rows = list(found.order_by("-size", "pk").values_list("pk", "name", "size")[:_SEGMENTS_SUGGESTED])
    names = [name for _, name, _ in rows]
    return [(f"{name} (#{pk})" if names.count(name) > 1 else name, size) for pk, name, size in rows]
