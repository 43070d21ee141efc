"""Random histories: what a sender that repeats, reorders and gives up may send, page by page."""

import random
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

Member = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """One page."""

    cohort: str
    session: str
    action: str
    number: int
    total: int | None
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Apply:
    """A worker has its turn."""


History = list[Sent | Apply]

PEOPLE = 9


def _member(number: int, form: int, value: int) -> Member:
    """Return a person in one of the forms they come in. Everybody has one own id and two distinct ids."""
    own = {"$CleverTap_user_id": f"u{number}"}
    distinct, second = {"mixpanel_distinct_id": f"d{number}"}, {"mixpanel_distinct_id": f"e{number}"}
    who = (distinct, distinct, own, own | distinct, second, own | second)[form]
    return {**who, "Score": value} if value else dict(who)


members = st.builds(_member, st.integers(0, PEOPLE - 1), st.integers(0, 5), st.integers(0, 3))
member_lists = st.lists(members, max_size=6).map(tuple)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw what two cohorts' sender does: sessions of several kinds, their pages in any order, some never, some twice."""
    sessions = [_session(draw, number) for number in range(draw(st.integers(2, 9)))]
    order = draw(st.randoms(use_true_random=False))
    history: History = []
    open_sessions = [list(pages) for pages in sessions]
    sent: list[Sent] = []
    while any(open_sessions):
        # Mostly the sender goes on with its oldest session: half of all steps come from it.
        waiting = [pages for pages in open_sessions if pages]
        pages = waiting[0] if order.random() < 0.5 else order.choice(waiting)
        _take_a_step(order, pages, sent, history)
    return history


def _take_a_step(order: random.Random, pages: list[Sent], sent: list[Sent], history: History) -> None:
    dice = order.random()
    if dice < 0.06:
        pages.clear()  # given up
    elif dice < 0.2 and sent:
        history.append(order.choice(sent))  # sent again
    elif dice < 0.27 and sent:
        older, other = order.choice(sent), order.choice(sent)
        history.append(replace(older, members=other.members))  # the same page with other content
        sent.append(replace(older, members=other.members))
    else:
        page = pages.pop(order.randrange(len(pages)))
        history.append(page)
        sent.append(page)
    if order.random() < 0.3:
        history.append(Apply())


def _session(draw: st.DrawFn, number: int) -> list[Sent]:
    cohort = draw(st.sampled_from(["one", "one", "two"]))
    kind = draw(st.sampled_from(["list", "list", "differences", "differences", "endless"]))
    name = f"session-{number}"
    if kind == "endless":
        return [Sent(cohort, name, "members", 0, None, draw(member_lists))]
    if kind == "list":
        total = draw(st.integers(1, 4))
        return [Sent(cohort, name, "members", page, total, draw(member_lists)) for page in range(1, total + 1)]
    added, removed = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    return [
        *(Sent(cohort, name, "add_members", page, added, draw(member_lists)) for page in range(1, added + 1)),
        *(Sent(cohort, name, "remove_members", page, removed, draw(member_lists)) for page in range(1, removed + 1)),
    ]
