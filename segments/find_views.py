"""Find People: a form that reads as a sentence, the query in the address, the count first and the rest as it arrives.

A POST changes the form: a button adds or takes out a part, and a whole query leads to its address. With HTMX the same
answers come as fragments. Nothing that was typed is lost, whatever is wrong with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django_htmx.http import push_url, reswap, retarget
from pyroaring import BitMap64

from profiles.accounts import may
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments import find_address, find_examples, find_form, find_result, recent, saved
from segments.audience.expressions import Expression
from segments.audience.values import BadQuery
from segments.builder.fields import act, read_fields
from segments.builder.nodes import Act, Group, shown
from segments.builder.query import Odd, Problem, as_text, canonical, from_query
from segments.find import LONGEST_MS, Finder, TooSlow, looking
from segments.models import Segment, SegmentType

_SAVED_SHOWN: Final = 8
_SUGGESTED: Final = 50
_TOO_LONG: Final = (
    "The query is too long for an address. Upload the values as a Custom List, or save a part of it as a segment."
)


@require_role(Role.MEMBER, "GET", "HEAD", "POST")
@never_cache
def find_people(request: ProjectRequest) -> HttpResponseBase:
    """Show the form, and what the query of the address finds."""
    if request.method == "POST":
        return _change(request)
    text = request.GET.get("q", "").strip()
    if not text:
        return _start(request)
    try:
        query = find_address.read(text)
        wanted = find_address.write(query)
    except BadQuery as error:
        return _start(request, problem=error.message)
    except find_address.TooLong:
        return _start(request, problem=_TOO_LONG)
    if as_text(query) != text and not request.htmx:
        return redirect(_page(request) + wanted + ("&show=all" if "show" in request.GET else ""))
    return render(request, "segments/find/page.html", _frame(request) | _ask(request, query))


# ---- what a page shows


def _page(request: ProjectRequest) -> str:
    return reverse("find-people", args=[request.project.public_id])


def _frame(request: ProjectRequest) -> dict[str, Any]:
    """Return what stands around the query."""
    page = _page(request)

    def addressed(query: Any) -> str:
        try:
            return page + find_address.write(canonical(query))
        except find_address.TooLong:
            return ""

    asked = recent.read(project=request.project, user=request.user)
    kept = Segment.objects.filter(project=request.project, type=SegmentType.PAST_BEHAVIOR, archived_at=None)
    return {
        "recent": [{"sentence": each.sentence, "count": each.count, "address": addressed(each.query)} for each in asked],
        "saved": [
            {"name": each.name, "size": each.size, "address": addressed(each.query)}
            for each in kept.order_by("-updated_at")[:_SAVED_SHOWN]
        ],
        "may_export": may(role=request.role, needs=Role.CREATOR),
        "share_url": request.build_absolute_uri(),
        "longest": LONGEST_MS // 1000,
    }


def _empty_form() -> Group:
    return read_fields({":kind": ["all"], "0:kind": ["did"]})


def _start(request: ProjectRequest, *, problem: str = "") -> HttpResponse:
    """Show an empty form and what can be asked."""
    context: dict[str, Any] = {"problem": problem, "form": _empty_form(), "examples": []}
    try:
        with looking(project=request.project, now=timezone.now()) as finder:
            context |= find_form.Seen(finder).context(context["form"])
            page = _page(request)
            context["examples"] = [
                {
                    "icon": each.icon,
                    "title": each.title,
                    "sentence": each.sentence,
                    "address": page + find_address.write(each.query),
                }
                for each in find_examples.examples(finder)
            ]
    except TooSlow:
        context["slow"] = True
    return render(request, "segments/find/page.html", _frame(request) | context)


def _ask(request: ProjectRequest, query: Any, *, again: bool = False) -> dict[str, Any]:
    """Return the form of a query and what it finds, or why it finds nothing; `again` when it was asked before."""
    context: dict[str, Any] = {"json": as_text(query), "address": find_address.write(query)}
    try:
        form: Group | None = from_query(query)
    except Odd:
        form = None
    context["form"] = form
    now = timezone.now()
    try:
        with looking(project=request.project, now=now) as finder:
            if form is not None:
                context |= find_form.Seen(finder).context(form)
            try:
                tree = finder.read(query)
                ids = finder.people(tree)
            except BadQuery as error:
                _place(context, form, error)
                return context
            context["answer"] = find_result.answer(finder, tree=tree, ids=ids)
            context["asks_event"] = find_result.first_did(tree) is not None
            context["total"] = context["answer"].total
            if request.GET.keys() & {"show", "by", "before"}:
                context |= _rest(request, finder, query=query, tree=tree, ids=ids)
    except TooSlow:
        return context | {"slow": True}
    if request.method != "HEAD" and not again:
        answer = context["answer"]
        recent.keep(
            project=request.project, user=request.user, query=query, sentence=answer.sentence, count=answer.count, now=now
        )
    return context


def _place(context: dict[str, Any], form: Group | None, error: BadQuery) -> None:
    """Write a mistake to its part of the form, else above it."""
    if form is None:
        context["problem"] = f"{error.message} ({error.place})" if error.place else error.message
        return
    find_form.mark(form, [Problem(error.place, error.message, missing=False)], missing=True)
    context |= {"problem": form.problems.get("", ""), "wrong": True}


def _rest(request: ProjectRequest, finder: Finder, *, query: Any, tree: Expression, ids: BitMap64) -> dict[str, Any]:
    """Return everything below the count."""
    if not ids:
        return _nobody(request, finder, query=query)
    return {
        "breakdown": find_result.by_property(finder, ids=ids, wanted=_name(request, "by")),
        "day_chart": find_result.by_day(finder, tree=tree),
        "people": find_result.people(finder, tree=tree, ids=ids, before=_before(request)),
    }


def _nobody(request: ProjectRequest, finder: Finder, *, query: Any) -> dict[str, Any]:
    page = _page(request)
    ways = [
        {"condition": way.condition, "count": way.count, "address": page + find_address.write(way.query)}
        for way in find_result.ways_out(finder, query=query)
    ]
    return {"nobody": True, "ways": ways, "total": len(finder.everyone())}


def _name(request: ProjectRequest, parameter: str) -> str:
    return request.GET.get(parameter, "").replace("\0", "")[:1024]


def _before(request: ProjectRequest) -> int | None:
    text = request.GET.get("before", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004  digits of a bigint


# ---- changes of the form


def _change(request: ProjectRequest) -> HttpResponseBase:
    """Take the form that was sent: do what its button says, and answer the query as soon as it is whole."""
    asked = request.POST.get("act", "find")
    form = read_fields(dict(request.POST.lists()))
    act(form, asked=asked)
    finds = asked == "find"
    if not form.parts and not finds:  # the last condition was taken out: begin with an empty one
        form.parts.append(Act())
    context: dict[str, Any] = {}
    query: Any = None
    problems: list[Problem] = []
    try:
        with looking(project=request.project, now=timezone.now()) as finder:
            seen = find_form.Seen(finder)
            query, problems = find_form.read(form, seen=seen)
            find_form.mark(form, problems, missing=finds)
            context |= seen.context(form)
    except TooSlow:
        return _answer_form(
            request, {"form": form, "problem": "This takes too long just now. What you typed is kept: try again."}
        )
    context |= {"problem": form.problems.get("", ""), "wrong": finds and bool(problems)}
    if not problems:
        try:
            address = _page(request) + find_address.write(query)
        except find_address.TooLong:
            return _answer_form(request, context | {"problem": _TOO_LONG})
        if request.htmx:
            return _answer_query(request, query, address=address, context=context, finds=finds)
        if finds:
            return redirect(address)
    elif not finds and all(problem.missing for problem in problems):
        context["hint"] = problems[0].message
    return _answer_form(request, context, status=422 if finds and problems and not request.htmx else 200)


def _answer_form(request: ProjectRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Show the form alone: what was found before stays where it is."""
    if request.htmx:
        return _only_form(request, context)
    return render(request, "segments/find/page.html", _frame(request) | {"share_url": ""} | context, status=status)


def _only_form(request: ProjectRequest, context: dict[str, Any]) -> HttpResponse:
    answer = render(request, "segments/find/_form.html", context)
    return reswap(retarget(answer, "#query"), "outerHTML")


def _answer_query(request: ProjectRequest, query: Any, *, address: str, context: dict[str, Any], finds: bool) -> HttpResponse:
    """Answer a whole query with HTMX, and put it into the address; the form alone when it is the one that is shown."""
    here = parse_qs(urlsplit(request.htmx.current_url or "").query).get("q", [""])[0]
    if here == as_text(query) and not finds:
        return _only_form(request, context)
    asked = _frame(request) | _ask(request, query, again=not finds) | {"share_url": request.build_absolute_uri(address)}
    return push_url(render(request, "segments/find/_find.html", asked), address)


# ---- the rest, as it arrives


@contextmanager
def _found(request: ProjectRequest) -> Iterator[tuple[Finder, Any, Expression, BitMap64]]:
    """Find the people of the address again, all of one moment. Raises BadQuery, TooSlow."""
    query = find_address.read(request.GET.get("q", ""))
    with looking(project=request.project, now=timezone.now()) as finder:
        tree = finder.read(query)
        yield finder, query, tree, finder.people(tree)


def _part(request: ProjectRequest, *, template: str, part: str, title: str) -> HttpResponse:
    """Answer one panel; without HTMX, the page with all of them."""
    if not request.htmx:
        asked = request.GET.copy()
        asked.setdefault("show", "all")
        return redirect(f"{_page(request)}?{asked.urlencode()}")
    try:
        with _found(request) as (finder, query, tree, ids):
            context: dict[str, Any] = {"json": as_text(query), "address": find_address.write(query)}
            if part == "find-property":
                context["breakdown"] = find_result.by_property(finder, ids=ids, wanted=_name(request, "by"))
            elif part == "find-day":
                context["day_chart"] = find_result.by_day(finder, tree=tree)
            elif ids:
                context["people"] = find_result.people(finder, tree=tree, ids=ids, before=_before(request))
            else:
                template = "segments/find/_nobody.html"
                context |= _nobody(request, finder, query=query)
    except (BadQuery, find_address.TooLong):
        return _failed(request, part=part, title=title, message="The query cannot be asked any more")
    except TooSlow:
        return _failed(request, part=part, title=title, message=f"This took longer than {LONGEST_MS // 1000} s and was ended")
    if context.get("day_chart", True) is None:
        return HttpResponse()
    return render(request, template, context)


def _failed(request: ProjectRequest, *, part: str, title: str, message: str) -> HttpResponse:
    asked = QueryDict(mutable=True)
    asked["q"] = request.GET.get("q", "")
    context = {"id": part, "title": title, "message": message, "retry": f"{_page(request)}?{asked.urlencode()}"}
    return render(request, "segments/find/_failed.html", context)


@require_role(Role.MEMBER)
@never_cache
def by_property(request: ProjectRequest) -> HttpResponse:
    """Show the people found by a property."""
    return _part(request, template="segments/find/_property.html", part="find-property", title="By property")


@require_role(Role.MEMBER)
@never_cache
def by_day(request: ProjectRequest) -> HttpResponse:
    """Show how often the first event of the query happened, day by day."""
    return _part(request, template="segments/find/_day.html", part="find-day", title="By day")


@require_role(Role.MEMBER)
@never_cache
def page(request: ProjectRequest) -> HttpResponse:
    """Show a page of the people found."""
    return _part(request, template="segments/find/_people.html", part="find-people", title="People")


@require_role(Role.MEMBER)
@never_cache
def values(request: ProjectRequest) -> HttpResponse:
    """Suggest values of a property, or segments, that hold what is being typed: options with their counts."""
    like = next((str(text) for name, text in request.GET.items() if ":" in name), "").replace("\0", "")[:1024]
    if "segments" in request.GET:
        found = [(name, f"{size:,} people") for name, size in find_form.suggest_segments(project=request.project, like=like)]
        return render(request, "segments/find/_values.html", {"values": found})
    name, event = _name(request, "property"), _name(request, "event") or None
    try:
        with looking(project=request.project, now=timezone.now()) as finder:
            if event is not None and not finder.event(event):
                return HttpResponse()
            suggested = finder.values(name, event=event, like=like.strip('"'), limit=_SUGGESTED)
    except TooSlow:
        return HttpResponse()  # a field without suggestions can be filled in all the same
    unit = "people" if event is None else "events"
    found = [(shown(each.value) if isinstance(each.value, str) else each.name, f"{each.count:,} {unit}") for each in suggested]
    return render(request, "segments/find/_values.html", {"values": found})


# ---- save as segment


@require_role(Role.CREATOR, "POST")
@never_cache
def save(request: ProjectRequest) -> HttpResponse:
    """Make a segment of the query."""
    name = request.POST.get("name", "")
    try:
        query = find_address.read(request.POST.get("q", ""))
        find_address.write(query)
    except BadQuery as error:
        return _start(request, problem=error.message)
    except find_address.TooLong:
        return _start(request, problem=_TOO_LONG)
    try:
        segment = saved.create_past_behavior(
            project=request.project, name=name, query=query, by=request.user, now=timezone.now()
        )
    except ValueError as error:
        context = {"save_error": str(error), "save_name": name}
    except (BadQuery, TooSlow):
        context = {"save_name": name}  # the page says what is wrong with the query
    else:
        messages.success(request, f"{segment.name} is saved\nWhoever matches the query is in it, now and later.")
        return redirect("segment", request.project.public_id, segment.pk)
    asked = _frame(request) | _ask(request, query, again=True) | context
    asked["share_url"] = request.build_absolute_uri(_page(request) + asked["address"])
    return render(request, "segments/find/page.html", asked, status=422)
