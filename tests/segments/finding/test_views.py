"""The page Find People: the address, the form, the answer and its parts, with and without HTMX."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from profiles.models import EventName, Profile, Project, User
from profiles.statements import run
from segments import find, saved
from segments.audience.values import BadQuery
from segments.finding import address as find_address
from segments.finding import recent
from segments.models import RecentQuery, Segment, SegmentType
from tests.cast import Partner
from tests.segments.conftest import MakePeople, MakeSegment, at, signed_in, text
from tests.sender import page as sent

HTMX = {"HX-Request": "true"}
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BAR = re.compile(r'title="Find those with ([\w: ]+)".*?<span class="num">(\d+)</span>')
CITY = {"property": "City", "op": "equals", "value": "Bangalore"}
JOINED = {"did": {"event": "Partner Sync", "where": [{"property": "Action", "op": "equals", "value": "Added"}]}}


def asking(project: Project, query: Any, name: str = "find-people", more: str = "") -> str:
    return at(name, project) + "?q=" + quote(json.dumps(query, separators=(",", ":"), sort_keys=True)) + more


def post(client: Client, project: Project, fields: dict[str, Any], **asked: Any) -> HttpResponse:
    return client.post(at("find-people", project), fields, **asked)  # type: ignore[return-value]  # the test client's own


def query_of(address: str) -> Any:
    return json.loads(parse_qs(urlsplit(address).query)["q"][0])


@pytest.fixture
def shop(mixpanel: Partner, harbour: Project) -> Project:
    """Four people from two cities in two cohorts."""

    def member(name: str, city: str, **more: Any) -> dict[str, Any]:
        return {"$CleverTap_user_id": name, "first_name": name.title(), "City": city, **more}

    people = [member("ann", "Bangalore", email="ann@example.com"), member("ben", "Bangalore", phone_number="+6581234567"),
              member("cid", "Mumbai", email="cid@example.com", Age=34)]  # fmt: skip
    mixpanel.send(sent("members", people, name="Cart Drop off"))
    mixpanel.send(sent("members", [member("dia", "Mumbai")], cohort_id="gold", name="Loyalty Gold"))
    mixpanel.apply()
    return harbour


# ---- the address


def test_the_page_without_a_query_teaches_with_what_the_project_has(as_mara: Client, shop: Project) -> None:
    shown = text(as_mara, at("find-people", shop))
    assert "Begin with a question" in shown
    for words in ("Users who did Partner Sync where Action is Added", "City is Bangalore or Mumbai", "are in Cart Drop off"):
        assert words in shown
    links = re.findall(r'href="([^"]*find-people/\?q=[^"]*)"', shown)
    assert len(links) == 3
    for link in links:
        assert 'id="count"' in text(as_mara, link.replace("&amp;", "&"))


def test_an_empty_project_is_told_that_there_is_nothing_to_ask(as_mara: Client, harbour: Project) -> None:
    shown = text(as_mara, at("find-people", harbour))
    assert "Nothing to ask about yet" in shown
    assert "?q=" not in shown


def test_a_query_in_the_address_is_counted_at_once_and_the_rest_is_asked_for(as_mara: Client, shop: Project) -> None:
    shown = text(as_mara, asking(shop, {"all": [CITY]}))
    assert '<span class="big" id="count">2</span>' in shown
    assert "people, 50.0\N{NO-BREAK SPACE}% of all 4" in shown
    assert "Users who have City is Bangalore." in shown
    assert "ann@example.com" not in shown
    for name in ("find-by-property", "find-page"):
        assert f'hx-get="{at(name, shop)}?q=' in shown
    assert at("find-by-day", shop) not in shown, "there is no event to show by day"


def test_reachability_is_of_the_people_found(as_mara: Client, shop: Project) -> None:
    shown = text(as_mara, asking(shop, {"all": [CITY]}))
    reach = re.findall(r"<li><span>(\w[\w ]*)</span>.*?<span class=\"num\">(\d+)</span>", shown)
    assert reach == [("Email", "1"), ("SMS", "1"), ("Mobile Push", "0"), ("Web Push", "0"), ("WhatsApp", "1")]


def test_an_address_in_another_spelling_leads_to_the_usual_one(as_mara: Client, shop: Project) -> None:
    loose = json.dumps({"value": "Bangalore", "op": "equals", "property": "City"}, indent=1)
    answer = as_mara.get(at("find-people", shop) + "?q=" + quote(loose))
    assert answer.status_code == 302
    assert query_of(answer["Location"]) == {"all": [CITY]}
    assert as_mara.get(answer["Location"]).status_code == 200


@pytest.mark.parametrize("broken", ["{", "nonsense", "[" * 3000, '{"all":[NaN]}', '"\\ud800"'])
def test_an_address_that_holds_no_query_says_so_and_offers_to_begin(as_mara: Client, shop: Project, broken: str) -> None:
    shown = text(as_mara, at("find-people", shop) + "?q=" + quote(broken))
    assert "This address holds no query that can be read" in shown
    assert "Begin with a question" in shown


def test_a_query_too_long_for_an_address_is_refused(as_mara: Client, shop: Project) -> None:
    query = {"all": [{"property": "City", "op": "in", "value": ["x" * 1000] * 9}]}
    assert "too long for an address" in text(as_mara, asking(shop, query))


@pytest.mark.parametrize(
    ("part", "field", "message"),
    [
        ({"did": {"event": "Charged"}}, "0:event", "The event &#x27;Charged&#x27; was never seen in this project."),
        ({"property": "Shoe", "op": "is_set"}, "0:property", "The property &#x27;Shoe&#x27; was never seen"),
        ({"property": "City", "op": "greater_than", "value": "x"}, "0:value", "The value is a number, not x."),
        ({"did": {"event": "Partner Sync", "within": {"days": 0}}}, "0:days", "days is a whole number from 1 to 3,660."),
        ({"did": {"event": "Partner Sync", "times": {"op": "exactly", "value": 0}}}, "0:count", "For not at all use did_not."),
        ({"segments": {"include": [999]}}, "0:new_include", "There is no segment 999 in this project."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_field_and_everything_else_is_kept(
    as_mara: Client, shop: Project, part: Any, field: str, message: str
) -> None:
    shown = text(as_mara, asking(shop, {"all": [part, CITY]}))
    assert message in shown
    tag = re.search(rf'<(?:input|select)[^>]*name="{re.escape(field)}"[^>]*>', shown)
    assert tag is not None
    assert 'aria-invalid="true"' in tag[0]
    assert 'value="Bangalore"' in shown
    assert 'id="count"' not in shown


def test_a_query_the_form_cannot_show_is_shown_as_it_is_and_still_runs(
    as_alice: Client, shop: Project, harbour: Project
) -> None:
    odd = EventName.objects.create(project=harbour, name="two\nlines")
    shown = text(as_alice, asking(shop, {"all": [{"did_not": {"event": odd.name}}]}))
    assert "The form cannot show all of it" in shown
    assert '<span class="big" id="count">4</span>' in shown
    assert "two\\nlines" in shown
    shown = text(as_alice, asking(shop, {"all": [{"everyone": 1}]}))
    assert "This query cannot be asked" in shown
    assert "(all[0].everyone)" in shown


def test_names_and_values_are_shown_as_text(as_alice: Client, harbour: Project, make_people: MakePeople) -> None:
    bad = "<script>alert(1)</script>"
    make_people("eve", name=bad, properties={"City": bad, bad: bad})
    query = {"all": [{"property": bad, "op": "equals", "value": bad}]}
    for more in ("", "&show=all"):
        shown = text(as_alice, asking(harbour, query, more=more))
        assert '<span class="big" id="count">1</span>' in shown
        assert "<script>alert" not in shown
    assert "<script>alert" not in text(as_alice, at("find-people", harbour))
    assert "<script>alert" not in text(as_alice, at("find-values", harbour) + "?property=" + quote(bad), headers=HTMX)


# ---- the form


def test_a_whole_form_leads_to_its_address(as_mara: Client, shop: Project) -> None:
    cart = Segment.objects.get(name="Cart Drop off")
    fields = {
        ":kind": "all", "act": "find",
        "0:kind": "did", "0:event": "Partner Sync", "0:times": "at_least", "0:count": "1", "0:within": "days", "0:days": "30",
        "0/0:kind": "property", "0/0:property": "Action", "0/0:op": "equals", "0/0:value": "Added",
        "1:kind": "segments", "1:new_include": "cart drop OFF",
        "2:kind": "property", "2:property": "City", "2:op": "in", "2:values": ['"Bangalore"'], "2:new": "Mumbai",
    }  # fmt: skip
    answer = post(as_mara, shop, fields)
    assert answer.status_code == 302
    where = [{"property": "Action", "op": "equals", "value": "Added"}]
    assert query_of(answer["Location"]) == {
        "all": [
            {"did": {"event": "Partner Sync", "where": where, "times": {"op": "at_least", "value": 1}, "within": {"days": 30}}},
            {"segments": {"include": [cart.pk]}},
            {"property": "City", "op": "in", "value": ["Bangalore", "Mumbai"]},
        ]
    }
    shown = text(as_mara, answer["Location"])
    assert '<span class="big" id="count">3</span>' in shown


def test_a_form_that_is_not_whole_keeps_what_was_typed_and_says_what_lacks(as_mara: Client, shop: Project) -> None:
    fields = {":kind": "any", "0:kind": "did", "0:event": "Partner Sync", "0:times": "exactly", "0:count": "", "act": "find",
              "1:kind": "property", "1:property": "City", "1:op": "equals", "1:value": ""}  # fmt: skip
    answer = post(as_mara, shop, fields)
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert "Say how many times." in shown
    assert "Give a value." in shown
    assert re.search(r'<option value="exactly" selected>', shown)
    assert re.search(r'<option value="any" selected>', shown)


@pytest.mark.parametrize(("act", "name"), [("did ", "1:event"), ("property ", "1:property"), ("segments ", "1:new_include"),
                                           ("group ", "1.0:event"), ("filter 0", "0/0:property")])  # fmt: skip
def test_a_part_is_added_without_javascript(as_mara: Client, shop: Project, act: str, name: str) -> None:
    answer = post(as_mara, shop, {":kind": "all", "0:kind": "did", "0:event": "Partner Sync", "act": act})
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert f'name="{name}"' in shown
    assert "aria-invalid" not in shown, "what was just added is not blamed for being empty"


def test_with_htmx_a_change_of_a_whole_query_answers_it_and_moves_the_address(as_mara: Client, shop: Project) -> None:
    fields = {
        ":kind": "all",
        "0:kind": "property",
        "0:property": "City",
        "0:op": "equals",
        "0:value": "Mumbai",
        "act": "change",
    }
    answer = post(
        as_mara, shop, fields, headers={**HTMX, "HX-Current-URL": "http://testserver" + asking(shop, {"all": [CITY]})}
    )
    assert query_of(answer["HX-Push-Url"]) == {"all": [{**CITY, "value": "Mumbai"}]}
    shown = answer.content.decode()
    assert shown.lstrip().startswith('<div id="find">')
    assert '<span class="big" id="count">2</span>' in shown
    assert not RecentQuery.objects.exists(), "what is passed through on the way is not remembered"


def test_with_htmx_a_change_that_says_the_same_leaves_the_answer_alone(as_mara: Client, shop: Project) -> None:
    fields = {
        ":kind": "all",
        "0:kind": "property",
        "0:property": "City",
        "0:op": "equals",
        "0:value": "Bangalore",
        "act": "change",
    }
    answer = post(
        as_mara, shop, fields, headers={**HTMX, "HX-Current-URL": "http://testserver" + asking(shop, {"all": [CITY]})}
    )
    assert answer["HX-Retarget"] == "#query"
    assert "HX-Push-Url" not in answer
    assert 'id="count"' not in answer.content.decode()


def test_with_htmx_a_form_that_is_not_whole_yet_is_swapped_alone_with_a_hint(as_mara: Client, shop: Project) -> None:
    answer = post(as_mara, shop, {":kind": "all", "0:kind": "did", "0:event": "", "act": "change"}, headers=HTMX)
    shown = answer.content.decode()
    assert answer["HX-Retarget"] == "#query"
    assert "Choose an event." in shown
    assert "aria-invalid" not in shown


def test_a_typed_number_is_a_number_where_the_property_holds_numbers(as_mara: Client, shop: Project) -> None:
    fields = {":kind": "all", "0:kind": "property", "0:property": "Age", "0:op": "equals", "0:value": "34", "act": "find"}
    address = post(as_mara, shop, fields)["Location"]
    assert query_of(address)["all"][0]["value"] == 34
    assert '<span class="big" id="count">1</span>' in text(as_mara, address)


def test_a_typed_number_is_a_text_where_the_property_holds_texts(
    as_mara: Client, harbour: Project, make_people: MakePeople
) -> None:
    make_people("ann", properties={"Pin": "560001"})
    fields = {":kind": "all", "0:kind": "property", "0:property": "Pin", "0:op": "equals", "0:value": "560001", "act": "find"}
    address = post(as_mara, harbour, fields)["Location"]
    assert query_of(address)["all"][0]["value"] == "560001"


def test_a_segment_that_nobody_knows_is_said_where_it_was_typed(as_mara: Client, shop: Project) -> None:
    answer = post(as_mara, shop, {":kind": "all", "0:kind": "segments", "0:new_include": "Nowhere", "act": "find"})
    shown = answer.content.decode()
    assert "There is no segment “Nowhere”." in shown
    assert 'value="Nowhere"' in shown


def test_of_segments_with_one_name_the_number_decides(as_mara: Client, shop: Project, mixpanel: Partner) -> None:
    mixpanel.send(sent("members", [{"$CleverTap_user_id": "ann"}], cohort_id="twin", name="Cart Drop off"))
    mixpanel.apply()
    twin = Segment.objects.filter(name="Cart Drop off").latest("pk")
    fields = {":kind": "all", "0:kind": "segments", "0:new_exclude": "Cart Drop off", "act": "find"}
    assert "Several segments are named" in post(as_mara, shop, fields).content.decode()
    fields["0:new_exclude"] = f"Cart Drop off (#{twin.pk})"
    assert query_of(post(as_mara, shop, fields)["Location"]) == {"all": [{"segments": {"exclude": [twin.pk]}}]}


def test_what_another_project_has_is_not_found_by_its_name(
    as_mara: Client, shop: Project, elsewhere: Project, make_segment: MakeSegment
) -> None:
    theirs = make_segment("Theirs", project=elsewhere)
    for typed in ("Theirs", f"x (#{theirs.pk})"):
        answer = post(as_mara, shop, {":kind": "all", "0:kind": "segments", "0:new_include": typed, "act": "find"})
        assert "There is no segment" in answer.content.decode()
    assert "Theirs" not in text(as_mara, at("find-values", shop) + "?segments&0:new_include=The", headers=HTMX)


# ---- suggestions


def test_values_are_suggested_with_their_counts(as_mara: Client, shop: Project) -> None:
    shown = text(as_mara, at("find-values", shop) + "?property=City&0:value=umb", headers=HTMX)
    assert re.findall(r'<option value="(\w+)">(.*?)</option>', shown) == [("Mumbai", "2 people")]
    shown = text(as_mara, at("find-values", shop) + "?property=Action&event=Partner+Sync", headers=HTMX)
    assert re.findall(r'<option value="(\w+)">(.*?)</option>', shown) == [("Added", "4 events")]
    assert text(as_mara, at("find-values", shop) + "?property=Action&event=Nothing%00", headers=HTMX).strip() == ""


def test_segments_are_suggested_by_a_part_of_their_name(as_mara: Client, shop: Project) -> None:
    shown = text(as_mara, at("find-values", shop) + "?segments&1:new_include=gold", headers=HTMX)
    assert re.findall(r'<option value="([\w ]+)">(.*?)</option>', shown) == [("Loyalty Gold", "1 people")]


def test_events_and_properties_are_offered_with_their_counts(as_mara: Client, shop: Project) -> None:
    shown = text(as_mara, asking(shop, {"all": [CITY]}))
    assert '<option value="City" selected>City</option>' in shown
    shown = text(as_mara, at("find-people", shop))
    assert '<option value="Partner Sync">Partner Sync · 4</option>' in shown


# ---- the rest


def test_people_are_split_by_city_first_and_by_any_property(as_mara: Client, shop: Project) -> None:
    query = {"all": [JOINED]}
    shown = text(as_mara, asking(shop, query, "find-by-property"), headers=HTMX)
    assert "<option selected>City</option>" in shown
    assert BAR.findall(shown) == [("City: Bangalore", "2"), ("City: Mumbai", "2")]
    shown = text(as_mara, asking(shop, query, "find-by-property", "&by=Age"), headers=HTMX)
    assert BAR.findall(shown) == [("Age: 34", "1"), ("Age: Not set", "3")]


def test_a_bar_leads_to_its_people(as_mara: Client, shop: Project) -> None:
    for by, value, part in (
        ("Age", "34", {"property": "Age", "op": "equals", "value": 34}),
        ("Age", "Not set", {"property": "Age", "op": "is_not_set"}),
        ("City", "Mumbai", {"property": "City", "op": "equals", "value": "Mumbai"}),
    ):
        shown = text(as_mara, asking(shop, {"any": [JOINED]}, "find-by-property", f"&by={by}"), headers=HTMX)
        link = html.unescape(re.search(rf'href="([^"]+)" title="Find those with {by}: {value}"', shown)[1])  # type: ignore[index]
        assert query_of(link) == {"all": [{"any": [JOINED]}, part]}
        count = re.search(rf'title="Find those with {by}: {value}".*?<span class="num">(\d+)</span>', shown)[1]  # type: ignore[index]
        assert f'id="count">{count}<' in text(as_mara, link)
    again = text(as_mara, asking(shop, {"all": [CITY]}, "find-by-property"), headers=HTMX)
    assert query_of(html.unescape(re.search(r'href="([^"]+)" title="Find those', again)[1])) == {"all": [CITY]}  # type: ignore[index]


def test_a_value_that_no_address_holds_has_a_bar_without_a_link(as_mara: Client, shop: Project) -> None:
    Profile.objects.filter(project=shop).update(properties={"Note": "é" * 1200})
    shown = text(as_mara, asking(shop, {"all": []}, "find-by-property", "&by=Note"), headers=HTMX)
    assert '<span class="num">4</span>' in shown
    assert "Find those" not in shown


# ---- the query of a saved segment


@pytest.fixture
def saved_carts(shop: Project) -> Segment:
    """A segment of Past Behavior, and another one that is made of it."""
    made = saved.create_past_behavior(project=shop, name="From Bangalore", query=CITY, by=None, now=NOW)
    more = {"segments": {"exclude": [made.pk]}}
    saved.create_past_behavior(project=shop, name="From elsewhere", query=more, by=None, now=NOW)
    return made


def test_a_saved_segment_begins_with_its_query_and_is_saved_to(as_bob: Client, shop: Project, saved_carts: Segment) -> None:
    kept = f"&segment={saved_carts.pk}"
    begun = as_bob.get(at("find-people", shop) + "?" + kept[1:])
    assert begun["Location"] == asking(shop, {"all": [CITY]}).replace("%3A", ":").replace("%2C", ",") + kept
    shown = text(as_bob, begun["Location"])
    assert "until you save to it, and so does 1 segment made of it." in shown
    assert f'<a href="{at("segment", shop, saved_carts.pk)}">From Bangalore</a></li>' in shown
    assert "This is the query of From Bangalore as it is saved." in shown
    assert at("segment-query", shop, saved_carts.pk) not in shown

    # the query changes, with HTMX and without; the segment stays named
    fields = {"segment": str(saved_carts.pk), ":kind": "all", "0:kind": "property", "0:property": "City", "0:op": "equals"}
    changed = {**CITY, "value": "Mumbai"}
    plain = post(as_bob, shop, {**fields, "0:value": "Mumbai", "act": "find"})
    assert (query_of(plain["Location"]), plain["Location"].endswith(kept)) == ({"all": [changed]}, True)
    lively = post(as_bob, shop, {**fields, "0:value": "Mumbai", "act": "find"}, headers=HTMX)
    assert lively["HX-Push-Url"] == plain["Location"]
    for said in (text(as_bob, plain["Location"]), lively.content.decode()):
        assert "Save to From Bangalore" in said
        assert "Save as a new segment" in said
        assert f'<input type="hidden" name="segment" value="{saved_carts.pk}">' in said
        for panel in ("by-property", "people"):
            assert re.search(rf'hx-get="[^"]*/{panel}/[^"]*&amp;segment={saved_carts.pk}"', said) or panel not in said
    unfinished = post(as_bob, shop, {**fields, "act": "did"}, headers=HTMX)
    assert f'name="segment" value="{saved_carts.pk}"' in unfinished.content.decode()
    by = text(as_bob, asking(shop, {"all": [CITY]}, "find-by-property", kept), headers=HTMX)
    assert f"&amp;segment={saved_carts.pk}" in by
    assert f'name="segment" value="{saved_carts.pk}"' in by

    as_bob.post(at("segment-query", shop, saved_carts.pk), {"q": json.dumps({"all": [changed]})})
    saved_carts.refresh_from_db()
    assert saved_carts.query == {"all": [changed]}
    taken = as_bob.post(
        at("find-save", shop), {"q": json.dumps(CITY), "name": "From Bangalore", "segment": str(saved_carts.pk)}
    )
    assert "There is a segment From Bangalore already" in taken.content.decode()
    assert "Save to From Bangalore" in taken.content.decode()


def test_who_may_not_change_a_segment_or_names_none_is_shown_the_query_alone(
    as_mara: Client, as_bob: Client, shop: Project, elsewhere: Project, saved_carts: Segment
) -> None:
    others = saved.create_past_behavior(project=elsewhere, name="Others", query={"all": []}, by=None, now=NOW)
    cart = Segment.objects.get(project=shop, name="Cart Drop off")
    for client, named in ((as_mara, saved_carts.pk), (as_bob, others.pk), (as_bob, cart.pk), (as_bob, "x"), (as_bob, "9" * 30)):
        shown = text(client, asking(shop, {"all": [JOINED]}, more=f"&segment={named}"))
        assert 'id="count">4<' in shown
        assert "Save to" not in shown
        assert "Others" not in shown
        assert "Begin with a question" in text(client, at("find-people", shop) + f"?segment={named}")


def test_a_saved_query_that_no_address_holds_is_named_instead(as_bob: Client, shop: Project) -> None:
    long = {"all": [{"property": "City", "op": "in", "value": ["x" * 1000] * 9 + ["Mumbai"]}]}
    segment = saved.create_past_behavior(project=shop, name="Long", query=long, by=None, now=NOW)
    assert "too long for an address: change it through the API" in text(
        as_bob, at("find-people", shop) + f"?segment={segment.pk}"
    )
    shown = text(as_bob, at("find-people", shop))
    link = re.search(r'href="([^"]+)">(?:<svg.*?</svg>)?<span class="clip">Long<', shown)[1]  # type: ignore[index]
    assert query_of(html.unescape(link)) == {"all": [{"segments": {"include": [segment.pk]}}]}


def test_the_first_event_is_shown_by_day(as_mara: Client, shop: Project) -> None:
    shown = text(as_mara, asking(shop, {"all": [CITY, {"any": [JOINED]}]}, "find-by-day"), headers=HTMX)
    assert "Partner Sync by day" in shown
    days = json.loads(re.search(r'<script id="days"[^>]*>(.*?)</script>', shown)[1])  # type: ignore[index]  # it is there
    assert (len(days["values"]), days["values"][-1], sum(days["values"])) == (30, 4, 4)
    assert text(as_mara, asking(shop, {"all": [CITY]}, "find-by-day"), headers=HTMX) == ""


def test_people_lead_to_their_profiles(as_mara: Client, shop: Project) -> None:
    shown = text(as_mara, asking(shop, {"all": [CITY]}, "find-page"), headers=HTMX)
    assert "ann@example.com" in shown
    assert f'href="{reverse("profile", args=[shop.public_id, "ann"])}">View details' in shown
    assert "1\u20132 of 2" in shown


def test_people_are_paged_forth_and_back(as_mara: Client, harbour: Project, make_people: MakePeople) -> None:
    made = make_people(*(f"p{number:02}" for number in range(60)), properties={"City": "Bangalore"})
    Profile.objects.filter(pk=made[40].pk).update(properties={})  # a gap in the ids
    address, seen, pages, back = asking(harbour, {"all": [CITY]}, "find-page"), [], [], None
    while address:
        shown = text(as_mara, address, headers=HTMX)
        seen += re.findall(r'<span class="id" title="(p\d\d)"', shown)
        pages.append(re.search("\\d+\u2013\\d+ of \\d+", shown)[0])  # type: ignore[index]  # it is there
        after = re.search(r'hx-get="([^"]*)">Next', shown)
        back = re.search(r'hx-get="([^"]*)">Previous', shown)
        address = after[1].replace("&amp;", "&") if after else ""
    assert pages == ["1\u201325 of 59", "26\u201350 of 59", "51\u201359 of 59"]
    assert seen == [f"p{number:02}" for number in range(59, -1, -1) if number != 40]
    assert back is not None
    shown = text(as_mara, back[1].replace("&amp;", "&"), headers=HTMX)
    assert "26\u201350 of 59" in shown
    first = re.search(r'hx-get="([^"]*)">Previous', shown)
    assert first is not None
    assert "1\u201325 of 59" in text(as_mara, first[1].replace("&amp;", "&"), headers=HTMX)


@pytest.mark.parametrize("name", ["find-by-property", "find-by-day", "find-page"])
def test_each_part_leads_to_the_whole_page_without_htmx(as_mara: Client, shop: Project, name: str) -> None:
    answer = as_mara.get(asking(shop, {"all": [JOINED]}, name))
    assert answer.status_code == 302
    shown = text(as_mara, answer["Location"])
    for words in ("Partner Sync by day", "1\u20134 of 4", "By property", "View details"):
        assert words in shown
    assert 'hx-trigger="load"' not in shown


def test_who_excludes_everybody_is_named_with_the_way_out(as_mara: Client, shop: Project) -> None:
    query = {"all": [CITY, {"property": "Age", "op": "greater_than", "value": 30}, JOINED]}
    for address, asked in ((asking(shop, query, "find-page"), HTMX), (asking(shop, query, more="&show=all"), {})):
        shown = text(as_mara, address, headers=asked)
        assert "Nobody matches all of this" in shown
        assert (
            re.findall(r"Without “(.*?)”</div><span class=\"num\">(\d+)</span>", shown)
            == [
                ("City is Bangalore", "1"),
                ("Age is greater than 30", "2"),
            ][::-1]
        )
        link = re.search(r'href="([^"]*)">Leave it out', shown)
        assert link is not None
        assert query_of(link[1].replace("&amp;", "&")) == {"all": [CITY, JOINED]}


def test_a_search_that_takes_too_long_says_so_and_keeps_the_query(
    as_mara: Client, shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(self: find.Finder, tree: object) -> None:  # noqa: ARG001  as the real one
        run("SELECT pg_sleep(10)", {})

    monkeypatch.setattr(find, "LONGEST_MS", 50)
    monkeypatch.setattr(find.Finder, "people", slow)
    shown = text(as_mara, asking(shop, {"all": [CITY]}))
    assert "and was ended" in shown
    assert 'value="Bangalore"' in shown
    part = text(as_mara, asking(shop, {"all": [CITY]}, "find-page"), headers=HTMX)
    assert "Try again" in part


# ---- recent and saved


def test_queries_asked_lately_are_found_again(as_mara: Client, as_bob: Client, shop: Project, mara: User) -> None:
    cities = [f"C{number}" for number in range(10)]
    for city in ["Bangalore", *cities, "Bangalore"]:
        text(as_mara, asking(shop, {"all": [{**CITY, "value": city}]}))
    assert [each.query["all"][0]["value"] for each in recent.read(project=shop, user=mara)] == ["Bangalore", *cities[:2:-1]]
    shown = text(as_mara, at("find-people", shop))
    assert "Users who have City is Bangalore." in shown
    assert "C9" not in text(as_bob, at("find-people", shop)), "what others ask is theirs"


def test_looking_at_a_part_or_the_head_of_a_page_remembers_nothing(as_mara: Client, shop: Project) -> None:
    text(as_mara, asking(shop, {"all": [CITY]}, "find-page"), headers=HTMX)
    as_mara.head(asking(shop, {"all": [CITY]}))
    assert not RecentQuery.objects.exists()


def test_a_creator_saves_the_query_as_a_segment(as_bob: Client, shop: Project, bob: User) -> None:
    fields = {"q": json.dumps({"all": [CITY]}), "name": "  Bangalore people "}
    answer = as_bob.post(at("find-save", shop), fields)
    segment = Segment.objects.get(type=SegmentType.PAST_BEHAVIOR)
    assert answer.status_code == 302
    assert answer["Location"] == at("segment", shop, segment.pk)
    assert (segment.name, segment.query, segment.size, segment.made_by) == ("Bangalore people", {"all": [CITY]}, 2, bob)
    assert "Bangalore people" in text(as_bob, at("find-people", shop)), "it is offered among the saved ones"


def test_a_segment_without_a_name_is_refused_with_everything_kept(as_bob: Client, shop: Project) -> None:
    answer = as_bob.post(at("find-save", shop), {"q": json.dumps({"all": [CITY]}), "name": " "})
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert 'id="save-bad"' in shown
    assert 'value="Bangalore"' in shown
    assert not Segment.objects.filter(type=SegmentType.PAST_BEHAVIOR).exists()


def test_a_query_that_cannot_be_asked_is_not_saved(as_bob: Client, shop: Project) -> None:
    answer = as_bob.post(at("find-save", shop), {"q": json.dumps({"did": {"event": "Nothing"}}), "name": "x"})
    assert "was never seen" in answer.content.decode()
    assert "holds no query" in as_bob.post(at("find-save", shop), {"q": "{", "name": "x"}).content.decode()
    assert not Segment.objects.filter(type=SegmentType.PAST_BEHAVIOR).exists()


def test_a_member_looks_and_shares_but_neither_saves_nor_exports(as_mara: Client, shop: Project) -> None:
    shown = text(as_mara, asking(shop, {"all": [CITY]}))
    assert "Copy link" in shown
    assert f"http://testserver{at('find-people', shop)}?q=" in shown
    assert at("find-save", shop) not in shown
    assert at("download-new", shop) not in shown
    assert as_mara.post(at("find-save", shop), {"q": "{}", "name": "x"}).status_code == 403


def test_nothing_leads_to_campaigns_that_are_not_there(as_alice: Client, shop: Project) -> None:
    shown = text(as_alice, asking(shop, {"all": [CITY]}))
    assert re.search(r'<span class="btn disabled" aria-disabled="true"[^>]*>.*?Start a campaign</span>', shown)
    assert "Campaigns are not available yet." in shown


def test_the_navigation_lights_one_entry(as_mara: Client, shop: Project) -> None:
    for name, lit in (("segments", "Segments"), ("find-people", "Find People"), ("syncs", "Segments")):
        shown = text(as_mara, at(name, shop))
        assert re.findall(r'aria-current="page">.*?<span class="clip">([\w ]+)<', shown) == [lit]


def test_another_project_answers_for_itself_alone(charlie: User, elsewhere: Project, shop: Project) -> None:
    client = signed_in(charlie)
    assert client.get(asking(shop, {"all": [CITY]})).status_code == 404
    shown = text(client, asking(elsewhere, {"all": [{"property": "Email", "op": "is_not_set"}]}, more="&show=all"))
    assert '<span class="big" id="count">0</span>' in shown
    cart = Segment.objects.get(name="Cart Drop off")
    shown = text(client, asking(elsewhere, {"all": [{"segments": {"include": [cart.pk]}}]}))
    assert f"There is no segment {cart.pk} in this project." in shown
    assert "Cart Drop off" not in shown


def test_an_address_reads_what_it_writes() -> None:
    query = {"all": [{"property": "Zoë & co", "op": "equals", "value": "100% #+?"}]}
    written = find_address.write(query)
    assert find_address.read(parse_qs(written.removeprefix("?"))["q"][0]) == query
    with pytest.raises(BadQuery):
        find_address.read("")


def test_times_of_events_are_asked_in_the_time_zone_of_the_project(as_mara: Client, shop: Project) -> None:
    Project.objects.filter(pk=shop.pk).update(timezone="Pacific/Kiritimati")
    today = (datetime.now(UTC) + timedelta(hours=14)).date()
    within = {"from": f"{today:%Y-%m-%d}", "to": f"{today:%Y-%m-%d}"}
    shown = text(as_mara, asking(shop, {"all": [{"did": {"event": "Partner Sync", "within": within}}]}))
    assert '<span class="big" id="count">4</span>' in shown


def test_with_htmx_a_mistake_leaves_the_answer_before_and_says_so(as_mara: Client, shop: Project) -> None:
    fields = {
        ":kind": "all",
        "0:kind": "property",
        "0:property": "Age",
        "0:op": "greater_than",
        "0:value": "x",
        "act": "change",
    }
    answer = post(
        as_mara, shop, fields, headers={**HTMX, "HX-Current-URL": "http://testserver" + asking(shop, {"all": [CITY]})}
    )
    shown = answer.content.decode()
    assert answer["HX-Retarget"] == "#query"
    assert "The value is a number, not x." in shown
    assert "Below is the answer to the query before." in shown


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"all": [{**CITY, "value": "Atlantis"}]}, "None of the 4 people of the project has this."),
        ({"any": [{**CITY, "value": "Atlantis"}]}, "None of the 4 people of the project has this."),
        ({"all": [{**CITY, "value": "Atlantis"}, {**CITY, "value": "Utopia"}]}, "No single condition is to blame"),
    ],
)
def test_nobody_is_explained_without_a_way_out_too(as_mara: Client, shop: Project, query: Any, words: str) -> None:
    shown = text(as_mara, asking(shop, query, "find-page"), headers=HTMX)
    assert words in shown
    assert "Leave it out" not in shown


def test_a_project_without_people_is_told_so(as_mara: Client, harbour: Project) -> None:
    shown = text(as_mara, asking(harbour, {"all": []}, "find-page"), headers=HTMX)
    assert "The project has no people yet." in shown
