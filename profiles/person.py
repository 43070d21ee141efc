"""What a source says of one person, as rows hand it from layer to layer. Plain Python, no Django."""

from typing import Any, Final

import msgspec

IDENTITY: Final = 1
MIXPANEL: Final = 2


class Person(msgspec.Struct, omit_defaults=True, rename={"ordinal": "o", "identity": "i", "kind": "k", "digest": "d"}):
    """One person. A value of None says nothing: it never erases what is stored.

    It is encoded as it is for `json_to_recordset`, hence the short names. `kind` is what `identity` is: the identity
    itself, or a Mixpanel distinct id and all that is known. `mixpanel_id` is an id that from now on leads to the person
    too. `digest` stands for all that was said, 64 bits; None when it does not, because something was left out.
    """

    identity: str
    kind: int
    mixpanel_id: str | None = None
    digest: int | None = None
    ordinal: int = -1
    e: str | None = None
    p: str | None = None
    f: str | None = None
    l: str | None = None  # noqa: E741  the four are e-mail, phone, first and last name
    x: dict[str, Any] | None = None

    @property
    def identified(self) -> bool:
        """Tell whether more than a distinct id is known."""
        return self.kind == IDENTITY

    def take(self, later: "Person") -> None:
        """Let what was said later hold."""
        self.mixpanel_id = later.mixpanel_id or self.mixpanel_id
        self.e, self.p, self.f, self.l = later.e or self.e, later.p or self.p, later.f or self.f, later.l or self.l
        if later.x:
            self.x = {**(self.x or {}), **later.x}
        self.digest = None
