"""Random people, events and queries about them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.segments.audience.oracle import Person, Query, World

NOW = datetime(2026, 11, 24, 18, 40, tzinfo=UTC)
ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Pacific/Kiritimati")
EVENTS = ("Charged", "App Launched", "Partner Sync")
PROPERTIES = ("City", "Age", "Tags", "Joined")
OWN = ("Name", "Email", "Phone")
SEGMENTS = (1, 2, 3)

TEXTS = ["", "Pune", "pune", "Bangalore", "New Pune", "5", "true", "100%", "a_b", "Zoë", "ZOË", "\\", "'; --", "2026-02-30"]
NUMBERS = [0, 1, 5, -3, 1.5, 5.0, 1e15, 0.1]
MOMENTS = [
    *("2026-11-24", "2026-11-23", "2025-02-28", "2024-02-29"),
    *("2026-11-24T00:00:00", "2026-11-24T05:30:00+05:30", "2026-11-24 18:40:00Z", "2026-11-23T23:59:59.999999"),
]
scalars = st.sampled_from([*TEXTS, *NUMBERS, True, False, *MOMENTS])
stored = st.one_of(scalars, st.none(), st.lists(st.one_of(scalars, st.none()), max_size=3), st.just({"Pune": 5}))
bags = st.dictionaries(st.sampled_from(PROPERTIES), stored, max_size=4)
own = st.dictionaries(st.sampled_from(OWN), st.sampled_from([text for text in TEXTS if text]), max_size=3)
# Around the edges of days in every zone.
moments = st.builds(
    lambda days, seconds: NOW - timedelta(days=days, seconds=seconds),
    st.integers(-1, 9),
    st.integers(-43_200, 43_200),
)
events = st.lists(st.tuples(st.sampled_from(EVENTS), moments, bags), max_size=5)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to six people, three segments."""
    drawn = draw(st.lists(st.tuples(bags, own, events), min_size=1, max_size=6))
    people = [Person(f"p{index}", {**bag, **system}, done) for index, (bag, system, done) in enumerate(drawn)]
    identities = [person.identity for person in people]
    segments = {each: draw(st.sets(st.sampled_from(identities))) for each in SEGMENTS}
    return World(people=people, segments=segments, zone=ZoneInfo(draw(st.sampled_from(ZONES))), now=NOW)


def _condition(names: tuple[str, ...]) -> st.SearchStrategy[Query]:
    def condition(op: str | tuple[str, ...], value: st.SearchStrategy[Any]) -> st.SearchStrategy[Query]:
        ops = st.just(op) if isinstance(op, str) else st.sampled_from(op)
        return st.fixed_dictionaries({"property": st.sampled_from(names), "op": ops, "value": value})

    texts = st.sampled_from([text for text in TEXTS if text])
    days = st.sampled_from([text for text in MOMENTS if len(text) == 10])
    numbers = st.sampled_from(NUMBERS)
    return st.one_of(
        condition(("equals", "not_equals"), scalars),
        condition(("in", "not_in"), st.lists(scalars, min_size=1, max_size=3)),
        condition(("contains", "starts_with"), texts),
        condition(("greater_than", "less_than"), numbers),
        condition("between", st.lists(numbers, min_size=2, max_size=2).map(sorted)),
        condition("between", st.lists(days, min_size=2, max_size=2).map(sorted)),
        condition(("before", "after"), st.sampled_from(MOMENTS)),
        st.fixed_dictionaries({"property": st.sampled_from(names), "op": st.sampled_from(["is_set", "is_not_set"])}),
    )


_within = st.one_of(
    st.builds(lambda n: {"days": n}, st.integers(1, 10)),
    st.builds(
        lambda first, more: {
            "from": f"{NOW - timedelta(days=first):%Y-%m-%d}",
            "to": f"{NOW - timedelta(days=first - more):%Y-%m-%d}",
        },
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    st.builds(lambda first: {"from": f"{NOW - timedelta(days=first):%Y-%m-%d}"}, st.integers(0, 9)),
)
_times = st.fixed_dictionaries({"op": st.sampled_from(["at_least", "at_most", "exactly"]), "value": st.integers(1, 3)})
_did = st.fixed_dictionaries(
    {"event": st.sampled_from(EVENTS)},
    optional={"where": st.lists(_condition(PROPERTIES), max_size=2), "times": _times, "within": _within},
)
_segments = st.fixed_dictionaries(
    {},
    optional={
        "include": st.lists(st.sampled_from(SEGMENTS), max_size=2),
        "exclude": st.lists(st.sampled_from(SEGMENTS), max_size=2),
    },
)
_leaves = st.one_of(
    _condition((*PROPERTIES, *OWN)),
    st.builds(lambda did: {"did": did}, _did),
    st.builds(lambda did: {"did_not": did}, _did),
    st.builds(lambda segments: {"segments": segments}, _segments),
)
queries: st.SearchStrategy[Query] = st.recursive(
    _leaves,
    lambda inner: st.builds(
        lambda kind, parts: {kind: parts}, st.sampled_from(["all", "any"]), st.lists(inner, min_size=0, max_size=3)
    ),
    max_leaves=6,
)
