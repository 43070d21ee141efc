"""From the tree of a query to the people whom it means, by sets. Who did or has what, is asked of `Facts`."""

from typing import Final, Protocol, assert_never

from pyroaring import BitMap64

from segments.audience.expressions import All, AnyOf, Condition, Did, DidNot, Expression, HasProperty, InSegments


class Facts(Protocol):
    """What is known of the people of a project, as sets of profile ids. The sets are the caller's to change."""

    def everyone(self) -> BitMap64:
        """Return all people."""

    def did(self, did: Did) -> BitMap64:
        """Return who did an event."""

    def has(self, condition: Condition) -> BitMap64:
        """Return whose property satisfies a condition."""

    def members(self, segment_ids: tuple[int, ...]) -> BitMap64:
        """Return who is in any of the segments."""


# What is cheap to ask and leaves few goes first: after nobody is left, the rest need not be asked.
_ORDER: Final[dict[type[Expression], int]] = {InSegments: 0, HasProperty: 1, AnyOf: 2, All: 2, Did: 3, DidNot: 3}


def evaluate(tree: Expression, facts: Facts) -> BitMap64:
    """Return the profile ids of everybody whom a query means."""
    match tree:
        case All(parts):
            return _all(parts, facts)
        case AnyOf(parts):
            return BitMap64.union(BitMap64(), *(evaluate(part, facts) for part in parts))
        case Did():
            return facts.did(tree)
        case DidNot(did):
            return facts.everyone() - facts.did(did)
        case HasProperty(condition):
            return facts.has(condition)
        case InSegments(include, exclude):
            found = facts.members(include) if include else facts.everyone()
            return found - facts.members(exclude) if exclude else found
        case _:
            assert_never(tree)


def _all(parts: tuple[Expression, ...], facts: Facts) -> BitMap64:
    found: BitMap64 | None = None
    for part in sorted(parts, key=lambda each: _ORDER[type(each)]):
        if found is not None and not found:
            return found
        if isinstance(part, DidNot) and found is not None:
            found -= facts.did(part.did)
        else:
            these = evaluate(part, facts)
            found = these if found is None else found & these
    return facts.everyone() if found is None else found
