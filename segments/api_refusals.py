"""What segments refuse, as answers of the API."""

from collections.abc import Iterator
from contextlib import contextmanager

from rest_framework import status
from rest_framework.exceptions import APIException

from profiles.api import refuse
from profiles.credentials import BadName
from segments import saved
from segments.audience.values import BadQuery
from segments.find import TooSlow
from segments.search_api import TookTooLong


class Conflict(APIException):
    """What is asked for cannot be done with this segment as it is."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what segments refuse into answers."""
    try:
        yield
    except BadQuery as error:
        refuse(f"query.{error.place}" if error.place else "query", error.message)
    except BadName as error:
        refuse("name", str(error))
    except saved.InUse as error:
        raise Conflict(f"{error} Their queries would have no answer. To delete it all the same, send confirm=true.") from error
    except (saved.BuiltIn, saved.NotOwn) as error:
        raise Conflict(str(error)) from error
    except TooSlow as error:
        raise TookTooLong from error


@contextmanager
def answering() -> Iterator[None]:
    """Answer for a saved query that has no answer: nothing is wrong with the call."""
    try:
        yield
    except BadQuery as error:
        raise Conflict(f"The query of this segment has no answer. {error}") from error
    except TooSlow as error:
        raise TookTooLong from error
