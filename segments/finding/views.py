"""Find People: a form that reads as a sentence, the query in the address, the count first and the rest as it arrives.

A POST changes the form: a button adds or takes out a part, and a whole query leads to its address. With HTMX the same
answers come as fragments. Nothing that was typed is lost, whatever is wrong with it.
"""

from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django_htmx.http import push_url, reswap, retarget

from profiles.accounts import may
from profiles.http import ProjectRequest, require_role
from profiles.models import Role
from segments import saved
from segments.audience.values import BadQuery
from segments.find import LONGEST_MS, Finder, TooSlow, looking
from segments.finding import address as find_address
from segments.finding import examples, recent, result
from segments.finding import form as find_form
from segments.finding.builder.canonical import as_text, canonical
from segments.finding.builder.fields import ADDS, act, read_fields
from segments.finding.builder.nodes import Act, Group
from segments.finding.builder.query import Odd, Problem, from_query
from segments.finding.panels import rest
from segments.models import Segment, SegmentType
from segments.uses import find_users

_SAVED_SHOWN: Final = 8
_TOO_LONG: Final = (
    "The query is too long for an address. Upload the values as a Custom List, or save a part of it as a segment."
)


@require_role(Role.MEMBER, "GET", "HEAD", "POST")
@never_cache
def find_people(request: ProjectRequest) -> HttpResponseBase:
    """Show the form, and what the query of the address finds."""
    if request.method == "POST":
        return _change(request)
    text, changing = request.GET.get("q", "").strip(), _changing(request)
    if not text:
        return _start(request) if changing is None else _start_with(request, changing)
    try:
        query = find_address.read(text)
        wanted = _address(request, query, changing)
    except BadQuery as error:
        return _start(request, problem=error.message)
    except find_address.TooLong:
        return _start(request, problem=_TOO_LONG)
    if as_text(query) != text and not request.htmx:
        return redirect(wanted + ("&show=all" if "show" in request.GET else ""))
    return render(request, "segments/find/page.html", _frame(request, changing) | _ask(request, query, changing))


# ---- a saved segment whose query is changed


def _changing(request: ProjectRequest) -> Segment | None:
    """Return the segment of Past Behavior that a query is to be saved to, if one is named and may be changed."""
    named = find_address.read_segment_id(request.POST if request.method == "POST" else request.GET)
    if named is None or not may(role=request.role, needs=Role.CREATOR):
        return None
    return Segment.objects.filter(project=request.project, pk=named, type=SegmentType.PAST_BEHAVIOR).first()


def _start_with(request: ProjectRequest, segment: Segment) -> HttpResponse:
    """Begin with the query that a segment has now."""
    try:
        return redirect(_address(request, segment.query, segment))
    except find_address.TooLong:
        return _start(request, problem=f"The query of {segment.name} is too long for an address: change it through the API.")


def _address(request: ProjectRequest, query: Any, changing: Segment | None) -> str:
    return find_address.find_people_at(
        project=request.project, query=query, segment_id=changing.pk if changing is not None else None
    )


# ---- what a page shows


def _frame(request: ProjectRequest, changing: Segment | None) -> dict[str, Any]:
    """Return what stands around the query; `changing` is the segment that it is to be saved to."""

    def addressed(each: Segment) -> str:
        try:
            return _address(request, each.query, changing)
        except find_address.TooLong:  # the same people, by its name
            return _address(request, find_address.in_segment(each.pk), changing)

    asked = recent.read(project=request.project, user=request.user)
    kept = Segment.objects.filter(project=request.project, type=SegmentType.PAST_BEHAVIOR, archived_at=None)
    return {
        "recent": [
            {"sentence": each.sentence, "count": each.count, "address": _address(request, each.query, changing)}
            for each in asked  # each was in an address
        ],
        "saved": [
            {"name": each.name, "size": each.size, "address": addressed(each)}
            for each in kept.order_by("-updated_at")[:_SAVED_SHOWN]
        ],
        "may_export": may(role=request.role, needs=Role.CREATOR),
        "share_url": request.build_absolute_uri(),
        "changing": changing,
        "segment_id": changing.pk if changing is not None else None,
        "used_by": find_users(segment=changing) if changing is not None else [],
        "longest": LONGEST_MS // 1000,
    }


def _empty_form() -> Group:
    return read_fields({":kind": ["all"], "0:kind": ["did"]})


def _examples(request: ProjectRequest, finder: Finder, changing: Segment | None) -> list[dict[str, str]]:
    found = []
    for each in examples.examples(finder):
        with suppress(find_address.TooLong):
            where = _address(request, each.query, changing)
            found.append({"icon": each.icon, "title": each.title, "sentence": each.sentence, "address": where})
    return found


def _start(request: ProjectRequest, *, problem: str = "") -> HttpResponse:
    """Show an empty form and what can be asked."""
    changing = _changing(request)
    context: dict[str, Any] = {"problem": problem, "form": _empty_form(), "examples": []}
    try:
        with looking(project=request.project, now=timezone.now()) as finder:
            context |= find_form.Seen(finder).context(context["form"])
            context["examples"] = _examples(request, finder, changing)
    except TooSlow:
        context["slow"] = True
    return render(request, "segments/find/page.html", _frame(request, changing) | context)


def _ask(request: ProjectRequest, query: Any, changing: Segment | None, *, again: bool = False) -> dict[str, Any]:
    """Return the form of a query and what it finds, or why it finds nothing; `again` when it was asked before."""
    written = find_address.write(query, segment_id=changing.pk if changing is not None else None)
    context: dict[str, Any] = {"json": as_text(query), "address": written}
    if changing is not None:
        context["is_changed"] = as_text(canonical(changing.query)) != context["json"]
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
            context["answer"] = result.answer(finder, tree=tree, ids=ids)
            context["asks_event"] = result.first_did(tree) is not None
            context["total"] = context["answer"].total
            if request.GET.keys() & {"show", "by", "before"}:
                context |= rest(request, finder, query=query, tree=tree, ids=ids)
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


# ---- changes of the form


def _change(request: ProjectRequest) -> HttpResponseBase:
    """Take the form that was sent: do what its button says, and answer the query as soon as it is whole."""
    asked = request.POST.get("act", "find")
    form = read_fields(dict(request.POST.lists()))
    act(form, asked=asked)
    finds, adds = asked == "find", asked.partition(" ")[0] in ADDS
    if not form.parts and not finds:  # the last condition was taken out: begin with an empty one
        form.parts.append(Act())
    context: dict[str, Any] = {"added": adds}
    query: Any = None
    problems: list[Problem] = []
    again = False
    try:
        with looking(project=request.project, now=timezone.now()) as finder:
            seen = find_form.Seen(finder)
            query, problems = find_form.read(form, seen=seen)
            find_form.mark(form, problems, missing=finds)
            again = not problems and not finds and as_text(query) == _asked_before(request)
            if problems or again or not request.htmx:
                context |= seen.context(form)
    except TooSlow:
        return _answer_form(
            request, {"form": form, "problem": "This takes too long just now. What you typed is kept: try again."}
        )
    context |= {"problem": form.problems.get("", ""), "wrong": finds and bool(problems)}
    if not problems:
        try:
            address = _address(request, query, _changing(request))
        except find_address.TooLong:
            return _answer_form(request, context | {"problem": _TOO_LONG})
        if request.htmx and not again:
            return _answer_query(request, query, address=address, finds=finds)
        if finds:
            return redirect(address)
    elif not finds and all(problem.missing for problem in problems):
        context["hint"] = problems[0].message
    elif _asked_before(request):
        context["hint"] = "Below is the answer to the query before."
    return _answer_form(request, context, status=422 if finds and problems and not request.htmx else 200)


def _answer_form(request: ProjectRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Show the form alone: with HTMX, what was found before stays where it is."""
    changing = _changing(request)
    if request.htmx:
        context["segment_id"] = changing.pk if changing is not None else None
        return reswap(retarget(render(request, "segments/find/_form.html", context), "#query"), "outerHTML")
    framed = _frame(request, changing) | {"share_url": ""} | context
    return render(request, "segments/find/page.html", framed, status=status)


def _asked_before(request: ProjectRequest) -> str:
    """Return the query of the page that a change was made on, as its address holds it."""
    return parse_qs(urlsplit(request.htmx.current_url or "").query).get("q", [""])[0] if request.htmx else ""


def _answer_query(request: ProjectRequest, query: Any, *, address: str, finds: bool) -> HttpResponse:
    """Answer a whole query with HTMX, and put it into the address."""
    changing = _changing(request)
    asked = _frame(request, changing) | _ask(request, query, changing, again=not finds)
    asked["share_url"] = request.build_absolute_uri(address)
    return push_url(render(request, "segments/find/_find.html", asked), address)


# ---- save as segment


@require_role(Role.CREATOR, "POST")
@never_cache
def save(request: ProjectRequest) -> HttpResponse:
    """Make a segment of the query."""
    name = request.POST.get("name", "").strip()
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
    changing = _changing(request)
    asked = _frame(request, changing) | _ask(request, query, changing, again=True) | context
    asked["share_url"] = request.build_absolute_uri(_address(request, query, changing))
    return render(request, "segments/find/page.html", asked, status=422)
