"""What a source says of one person, as rows hand it from layer to layer. Plain Python, no Django."""

from typing import Any, Final

import msgspec

IDENTITY: Final = 1
MIXPANEL: Final = 2


class Person(msgspec.Struct, eq=False):
    """One person. A value of None says nothing: it never erases what is stored.

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
    raw: dict[str, Any] | None = None
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    properties: dict[str, Any] | None = None
    # Its place among the people of a run.
    place: int = -1

    @property
    def identified(self) -> bool:
        """Tell whether more than a distinct id is known."""
        return self.kind == IDENTITY

    def take(self, later: "Person") -> None:
        """Let what was said later hold."""
        self.mixpanel_id = later.mixpanel_id or self.mixpanel_id
        self.email, self.phone = later.email or self.email, later.phone or self.phone
        self.first_name, self.last_name = later.first_name or self.first_name, later.last_name or self.last_name
        if later.properties:
            self.properties = {**(self.properties or {}), **later.properties}
        self.digest = None
