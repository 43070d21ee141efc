"""Invented people, ready to be sent: made before any clock starts, kept on disk so that a million takes no memory."""

import json
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

PAGE: Final = 1000  # members a page, the sender's most
FIRST_NAMES: Final = (
    "Asha",
    "Ravi",
    "Maria",
    "John",
    "Wei",
    "Fatima",
    "Olu",
    "Sven",
    "Ines",
    "Kenji",
    "Priya",
    "Tom",
    "Lena",
    "Omar",
    "Zoe",
)
LAST_NAMES: Final = (
    "Sharma",
    "Silva",
    "Smith",
    "Zhang",
    "Khan",
    "Adeyemi",
    "Larsen",
    "Costa",
    "Tanaka",
    "Iyer",
    "Brown",
    "Weber",
    "Haddad",
    "Novak",
)

_encode = json.JSONEncoder(separators=(",", ":")).encode


def member(number: int) -> dict[str, str]:
    """Return a person of Mixpanel's; one in five has an identity of the product's own beside the distinct id."""
    mark = blake2b(number.to_bytes(8, "little"), digest_size=16).hexdigest()
    chance = int(mark[:8], 16)
    first, last = FIRST_NAMES[chance % len(FIRST_NAMES)], LAST_NAMES[chance % len(LAST_NAMES)]
    person = {
        "mixpanel_distinct_id": f"{mark[:8]}-{mark[8:12]}-{mark[12:16]}-{mark[16:20]}-{mark[20:]}",
        "email": f"{first.lower()}.{last.lower()}.{number}@example.com",
        "phone_number": f"+91{7_000_000_000 + number}",
        "first_name": first,
        "last_name": last,
    }
    if chance % 5 == 0:
        person["$CleverTap_user_id"] = f"ct-{mark[:20]}"
    return person


class Crowd:
    """The people `first` to `first + count`, as the members of pages and as rows for COPY."""

    def __init__(self, *, folder: Path, first: int, count: int) -> None:
        """Write both files. Nothing that is invented holds a character that COPY would want escaped."""
        self.count = count
        self.rows = folder / f"{first}-{count}.rows"
        self._members = folder / f"{first}-{count}.json"
        with self._members.open("w") as members, self.rows.open("w") as rows:
            for start in range(first, first + count, PAGE):
                people = [member(number) for number in range(start, min(start + PAGE, first + count))]
                members.write(_encode(people) + "\n")
                rows.writelines(_row(person) for person in people)

    @property
    def pages(self) -> int:
        """How many pages it takes."""
        return -(-self.count // PAGE)

    def members(self) -> Iterator[bytes]:
        """Yield the JSON list of each page's members."""
        with self._members.open("rb") as file:
            for line in file:
                yield line[:-1]


def _row(person: dict[str, str]) -> str:
    identity = person.get("$CleverTap_user_id", person["mixpanel_distinct_id"])
    values = (identity, person["email"], person["phone_number"], person["first_name"], person["last_name"])
    return "1\t" + "\t".join(values) + "\n"


def page(*, cohort: str, session: str, action: str, number: int, of: int, members: bytes) -> bytes:
    """Return a page's bytes."""
    parameters = {
        "mixpanel_project_id": "2195193",
        "mixpanel_cohort_id": cohort,
        "mixpanel_cohort_name": f"Cohort {cohort}",
        "mixpanel_cohort_description": "Made for the bench",
        "mixpanel_session_id": session,
        "page_info": {"total_pages": of, "page_count": number},
    }
    head = _encode({"action": action, "parameters": parameters}).removesuffix("}}")
    return b"".join((head.encode(), b',"members":', members, b"}}"))
