"""The calls below /1/ that read: one person, people and events of a query in pages, and how many there are."""

from datetime import datetime
from typing import Any, ClassVar, Final

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from integrations.compat import records
from integrations.compat.base import (
    BATCH_MAX,
    CompatView,
    Refused,
    answer,
    read_batch_size,
    read_body,
    read_cursor,
    read_flag,
    read_json,
    sign_cursor,
)
from integrations.compat.question import read_question
from profiles.aliases import find_named
from profiles.api import project_of
from profiles.models import Alias, Profile, Project, Role
from segments import event_log, find
from segments.audience.expressions import Condition, Did, HasProperty

_EXAMPLE: Final = OpenApiExample(
    "A query",
    value={
        "event_name": "Charged",
        "from": 20261101,
        "to": 20261130,
        "event_properties": [{"name": "Amount", "operator": "greater_than", "value": 100}],
    },
    request_only=True,
)
_PAGING: Final = [
    OpenApiParameter("batch_size", OpenApiTypes.INT, description=f"With a query: records a page, up to {BATCH_MAX:,}."),
    OpenApiParameter("cursor", OpenApiTypes.STR, description="From the answer before."),
    OpenApiParameter("query", OpenApiTypes.STR, description="With GET: the query as JSON."),
    OpenApiParameter("events", OpenApiTypes.BOOL, description="false leaves out the events of people."),
    OpenApiParameter("profile", OpenApiTypes.BOOL, description="false leaves out profileData."),
]
_BAD: Final = OpenApiResponse(description="The query is wrong or names what was never seen; the message says where.")
_PAGES: Final = {
    200: OpenApiResponse(
        OpenApiTypes.OBJECT, description="status with cursor; then records with next_cursor while more follow."
    ),
    400: _BAD,
}


class OneProfile(CompatView):
    """A person."""

    @extend_schema(
        operation_id="compat_profile",
        parameters=[OpenApiParameter(name, OpenApiTypes.STR) for name in ("identity", "objectId", "email")],
        responses={200: OpenApiTypes.OBJECT, 404: OpenApiResponse(description="Nobody is known by it.")},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return the person of an identity, an objectId or an email; of several with one email, the newest."""
        project = project_of(request)
        given = {
            name: request.query_params[name] for name in ("identity", "objectId", "email") if request.query_params.get(name)
        }
        if len(given) != 1:
            raise Refused(400, "Name one person: ?identity=, ?objectId= or ?email=.")
        [(name, value)] = given.items()
        found = _find_one(project, name, value)
        if found is None:
            raise Refused(404, f"Nobody has this {name}.")
        [record] = records.people(
            project=project,
            profiles=[found],
            events=read_flag(request, "events", usual=True),
            profile=read_flag(request, "profile", usual=True),
        )
        return answer({"status": "success", "record": record})


def _find_one(project: Project, name: str, value: str) -> Profile | None:
    if "\0" in value:
        return None
    value = value.encode(errors="replace").decode()
    if name == "email":
        with find.looking(project=project, now=timezone.now()) as finder:
            people, _ = finder.page(finder.people(HasProperty(Condition("Email", "equals", value))), limit=1)
            return people[0] if people else None
    kinds = [Alias.Kind.OBJECT] if name == "objectId" else [Alias.Kind.IDENTITY, Alias.Kind.MIXPANEL]
    ids = find_named(project_id=project.pk, values=[value], kinds=kinds, by_identity=name == "identity")
    return Profile.objects.filter(project=project, pk=ids[value]).first() if ids else None


class _Listing(CompatView):
    """A list that a first call with a query opens and a cursor leads through."""

    needs: ClassVar[dict[str, Role]] = {"POST": Role.MEMBER}
    name: ClassVar[str]

    def _answer(self, request: Request) -> HttpResponse:
        place = read_cursor(request, name=self.name)
        if place is not None:
            return self._page(request, place)
        question = read_question(_sent_query(request))
        size = read_batch_size(request)
        with find.looking(project=project_of(request), now=timezone.now()) as finder:
            finder.read(question)  # what is wrong with it shows now
        switches = {name: read_flag(request, name, usual=True) for name in ("events", "profile")}
        cursor = sign_cursor(request, name=self.name, place={"query": question, "size": size, "after": None, **switches})
        return answer({"status": "success", "cursor": cursor})

    def _page(self, request: Request, place: dict[str, Any]) -> HttpResponse:
        """Answer with the records at a place. Overridden."""
        raise NotImplementedError

    def _records(self, request: Request, place: dict[str, Any], found: list[dict[str, Any]], after: Any) -> HttpResponse:
        """Answer with records; without next_cursor when they are the last."""
        body: dict[str, Any] = {"status": "success", "records": found}
        if after is not None:
            body["next_cursor"] = sign_cursor(request, name=self.name, place={**place, "after": after})
        return answer(body)


def _sent_query(request: Request) -> Any:
    text = request.query_params.get("query")
    if text is not None and request.method == "GET":
        return read_json(text.encode(errors="replace"))
    if request.method == "GET":
        raise Refused(400, "Send the query as ?query=, or POST it; then take the pages by ?cursor=.")
    return read_json(read_body(request))


class Profiles(_Listing):
    """People who did an event."""

    name = "profiles"

    @extend_schema(operation_id="compat_profiles_page", parameters=_PAGING, responses=_PAGES)
    def get(self, request: Request) -> HttpResponse:
        """Return a page of people, the newest profile first, or with ?query= the cursor of a query."""
        return self._answer(request)

    @extend_schema(
        operation_id="compat_profiles",
        request=OpenApiTypes.OBJECT,
        parameters=_PAGING,
        examples=[_EXAMPLE],
        responses=_PAGES,
    )
    def post(self, request: Request) -> HttpResponse:
        """Return the cursor of a query."""
        return self._answer(request)

    def _page(self, request: Request, place: dict[str, Any]) -> HttpResponse:
        project = project_of(request)
        with find.looking(project=project, now=timezone.now()) as finder:
            ids = finder.people(finder.read(place["query"]))
            people, last = finder.page(ids, before=place["after"], limit=place["size"])
            found = records.people(project=project, profiles=people, events=place["events"], profile=place["profile"])
        return self._records(request, place, found, last)


class Events(_Listing):
    """Events of a name."""

    name = "events"

    @extend_schema(operation_id="compat_events_page", parameters=_PAGING, responses=_PAGES)
    def get(self, request: Request) -> HttpResponse:
        """Return a page of events, oldest first, or with ?query= the cursor of a query."""
        return self._answer(request)

    @extend_schema(
        operation_id="compat_events",
        request=OpenApiTypes.OBJECT,
        parameters=_PAGING,
        examples=[_EXAMPLE],
        responses=_PAGES,
    )
    def post(self, request: Request) -> HttpResponse:
        """Return the cursor of a query."""
        return self._answer(request)

    def _page(self, request: Request, place: dict[str, Any]) -> HttpResponse:
        project = project_of(request)
        after = place["after"] and (datetime.fromisoformat(place["after"][0]), int(place["after"][1]))
        with find.looking(project=project, now=timezone.now()) as finder:
            did = finder.read(place["query"])
            assert isinstance(did, Did)  # noqa: S101  what read_question makes
            events, last = event_log.read(finder=finder, did=did, after=after, limit=place["size"])
            found = records.logged(project=project, events=events, profile=place["profile"])
        return self._records(request, place, found, None if last is None else [last[0].isoformat(), last[1]])


class _Count(CompatView):
    """How many there are."""

    needs: ClassVar[dict[str, Role]] = {"POST": Role.MEMBER}

    def _did(self, request: Request) -> tuple[Project, dict[str, Any]]:
        return project_of(request), read_question(read_json(read_body(request)))


class CountProfiles(_Count):
    """How many people did an event."""

    @extend_schema(
        operation_id="compat_count_profiles",
        request=OpenApiTypes.OBJECT,
        examples=[_EXAMPLE],
        responses={200: OpenApiTypes.OBJECT, 400: _BAD},
    )
    def post(self, request: Request) -> HttpResponse:
        """Return how many people satisfy a query."""
        project, question = self._did(request)
        with find.looking(project=project, now=timezone.now()) as finder:
            return answer({"status": "success", "count": len(finder.people(finder.read(question)))})


class CountEvents(_Count):
    """How often an event happened."""

    @extend_schema(
        operation_id="compat_count_events",
        request=OpenApiTypes.OBJECT,
        examples=[_EXAMPLE],
        responses={200: OpenApiTypes.OBJECT, 400: _BAD},
    )
    def post(self, request: Request) -> HttpResponse:
        """Return how many events satisfy a query."""
        project, question = self._did(request)
        with find.looking(project=project, now=timezone.now()) as finder:
            did = finder.read(question)
            assert isinstance(did, Did)  # noqa: S101  what read_question makes
            return answer({"status": "success", "count": event_log.count(finder=finder, did=did)})
