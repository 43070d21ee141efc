"""The profileData of a record: what it changes of its person. Plain Python.

https://developer.clevertap.com/docs/upload-user-profiles-api
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final

from integrations.compat import codes
from integrations.compat.codes import Flaw
from integrations.compat.steps import ADD, COUNT, DELETE, REMOVE, SET, Said, Step
from integrations.compat.values import read_date, read_key, read_list, read_scalar
from profiles.phones import to_e164

KEYS_MAX: Final = 256
_EMAIL: Final = re.compile(r"[^@\s<>()\[\],;:\\\"]+@[^@\s.<>()\[\],;:\\\"/]+(\.[^@\s.<>()\[\],;:\\\"/]+)+")
_EMAIL_MAX: Final = 254
_OLDEST: Final = 120
_FIRST_BIRTH: Final = 1900
_GENDERS: Final = {"m": "M", "male": "M", "f": "F", "female": "F"}
_ANSWERS: Final = {"y": "Y", "yes": "Y", "n": "N", "no": "N"}
_SCHOOLS: Final = {"school": "School", "college": "College", "graduate": "Graduate"}


def _email(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > _EMAIL_MAX or not text.isprintable() or _EMAIL.fullmatch(text) is None:
        raise Flaw(codes.EMAIL, "The Email is no address such as asha@example.com.")
    return text


def _phone(value: Any) -> str:
    found = to_e164(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Flaw(codes.PHONE, "The Phone is not understood. Send it with + and its country code, such as +14155551234.")
    return found


def _word(code: int, name: str, known: dict[str, str]) -> Callable[[Any], str]:
    wanted = ", ".join(dict.fromkeys(known.values()))

    def read(value: Any) -> str:
        if isinstance(value, bool) and "y" in known:
            return "Y" if value else "N"
        found = known.get(value.strip().lower()) if isinstance(value, str) else None
        if found is None:
            raise Flaw(code, f"{name} is one of {wanted}.")
        return found

    return read


def _age(value: Any) -> int:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = float(value.strip()[:9])
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= _OLDEST or value != int(value):
        raise Flaw(codes.AGE, f"Age is a whole number from 1 to {_OLDEST}.")
    return int(value)


def _birthday(value: Any) -> str:
    """Return a date of birth as a day: the time of day says nothing."""
    found: date | None = None
    if isinstance(value, str) and (when := read_date(value.strip())) is not None:
        found = when.date()
    elif isinstance(value, str):
        try:
            found = date.fromisoformat(value.strip()[:10])
        except ValueError:
            found = None
    if found is None or found.year < _FIRST_BIRTH or found > datetime.now(tz=UTC).date():
        raise Flaw(codes.AGE, "DOB is a day in the past, as $D_ and the seconds since the epoch or as 1992-12-22.")
    return found.isoformat()


def _plain(name: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        found = read_scalar(value, key=name, code=codes.OTHER)
        if name != "Tz" and not isinstance(found, str):
            found = str(found)
        return found.strip() if isinstance(found, str) else found

    return read


# The system properties by their name in lower case: how they are written, and what reads them.
SYSTEM: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "name": ("Name", _plain("Name")),
    "email": ("Email", _email),
    "phone": ("Phone", _phone),
    "gender": ("Gender", _word(codes.GENDER, "Gender", _GENDERS)),
    "employed": ("Employed", _word(codes.EMPLOYED, "Employed", _ANSWERS)),
    "education": ("Education", _word(codes.EDUCATION, "Education", _SCHOOLS)),
    "married": ("Married", _word(codes.MARRIED, "Married", _ANSWERS)),
    "age": ("Age", _age),
    "dob": ("DOB", _birthday),
    "photo": ("Photo", _plain("Photo")),
    "customer type": ("Customer Type", _plain("Customer Type")),
    "tz": ("Tz", _plain("Tz")),
}


def read_profile_data(data: Any) -> Said:
    """Return what a record changes. A value of null says nothing; of a key written in two ways the last one counts.

    Raises Flaw.
    """
    if not isinstance(data, dict):
        raise Flaw(codes.NO_TYPE, "A profile has profileData, an object of its properties.")
    if len(data) > KEYS_MAX:
        raise Flaw(codes.OTHER, f"A profile has more than {KEYS_MAX} properties.")
    plain: dict[str, Any] = {}
    steps: dict[str, Step] = {}
    for given, value in data.items():
        if value is None:
            continue
        key, read = _known_key(given)
        if isinstance(value, dict | list):
            step = _step(key, read, value)
            if step is None:
                continue
            if step.operator != SET:
                plain.pop(key, None)
                steps[key] = step
                continue
            kept = step.value
        elif read is None:
            kept = read_scalar(value, key=key, code=codes.OTHER)
        elif value == "":
            continue  # as in a cohort: what is empty never erases what is stored
        else:
            kept = read(value)
        if steps:
            steps.pop(key, None)
        plain[key] = kept
    return Said(plain, list(steps.values()))


@lru_cache(maxsize=8192)
def _known_key(given: str) -> tuple[str, Callable[[Any], Any] | None]:
    """Return a key as it is kept, and what reads its value where that is a system property."""
    key = read_key(given, code=codes.OTHER)
    return SYSTEM.get(key.lower(), (key, None))


def _step(key: str, read: Callable[[Any], Any] | None, value: dict[str, Any] | list[Any]) -> Step | None:
    """Return the change that an operator, or a list of values, makes; None when it says nothing."""
    if read is None:
        if isinstance(value, dict):
            return _operator_step(key, value)
        return _settled(key, read_list(value, key=key, code=codes.OTHER))
    if isinstance(value, list):
        read(value)  # which refuses it
        raise Flaw(codes.OTHER, f"{key} takes one value.")
    if set(value) == {DELETE}:
        return Step(key, DELETE, None)
    if set(value) != {SET}:
        raise Flaw(codes.OTHER, f"{key} takes a value, $set or $delete.")
    given = value[SET]
    return None if given is None or given == "" else Step(key, SET, read(given))


def _settled(key: str, values: list[Any]) -> Step:
    """Return the step that leaves a list of values; none at all is no value."""
    return Step(key, SET, values) if values else Step(key, DELETE, None)


def _operator_step(key: str, given: dict[str, Any]) -> Step:
    if len(given) != 1:
        raise Flaw(codes.OTHER, f"{key} is an object with more than one operator, or none. Send one for each record.")
    [(operator, value)] = given.items()
    if operator == DELETE:
        return Step(key, DELETE, None)
    if operator in {"$incr", "$decr"}:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Flaw(codes.OTHER, f"{operator} of {key} takes a number.")
        return Step(key, COUNT, -value if operator == "$decr" else value)
    if operator in {SET, ADD, REMOVE}:
        values = read_list(value if isinstance(value, list) else [value], key=key, code=codes.OTHER)
        return _settled(key, values) if operator == SET else Step(key, operator, values)
    message = f"{key} is an object. Send a text, a number, a list, or $set, $add, $remove, $incr, $decr or $delete."
    raise Flaw(codes.OTHER, message)
