"""What a source says of one person, as rows hand it from layer to layer. Plain Python, no Django."""

from collections.abc import Sequence
from copy import copy
from typing import Any, Final

import msgspec

IDENTITY: Final = 1
MIXPANEL: Final = 2


class Person(msgspec.Struct, eq=False, gc=False):
    """What was said of one person. A value of None says nothing: it never erases what is stored.

    `kind` is what `identity` is: the identity itself, or a Mixpanel distinct id and all that is known. `mixpanel_id` is
    an id that from now on leads to the person too. `digest` stands for all that was said, 64 bits; None when it does
    not, because something was left out. The values stay as they came, in `raw`, until they are needed.
    """

    identity: str
    kind: int
    mixpanel_id: str | None = None
    digest: int | None = None
    # Where it was said: the place on the page, from 1, and the place of the page in its run.
    position: int = 0
    page: int = 0
    # JSON, or what it says.
    raw: Any = None
    is_read: bool = False
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    properties: dict[str, Any] | None = None
    # Its place among the people of a run, and what was said later there of the same id.
    place: int = -1
    later: "list[Person] | None" = None

    @property
    def identified(self) -> bool:
        """Tell whether more than a distinct id is known."""
        return self.kind == IDENTITY


def together(said: Sequence[Person]) -> Person:
    """Return what several that speak of one person say together: of each value, what was said last."""
    whole = copy(said[0])
    digests = {each.digest for each in said}
    whole.digest = digests.pop() if len(digests) == 1 else None  # no single one of several stands for all
    for later in said[1:]:
        whole.kind = min(whole.kind, later.kind)
        whole.mixpanel_id = later.mixpanel_id or whole.mixpanel_id
        whole.email, whole.phone = later.email or whole.email, later.phone or whole.phone
        whole.first_name, whole.last_name = later.first_name or whole.first_name, later.last_name or whole.last_name
        if later.properties:
            whole.properties = {**(whole.properties or {}), **later.properties}
    return whole
