"""What is wrong with a record of an upload, in CleverTap's numbers. Plain Python.

https://developer.clevertap.com/docs/api-errors lists the codes; the words are this product's.
"""

from typing import Final

NO_EVENT_NAME: Final = 509
EVENT_STRUCTURE: Final = 512
SYSTEM_EVENT: Final = 513
GENDER: Final = 514
EMAIL: Final = 515
PHONE: Final = 516
EMPLOYED: Final = 517
EDUCATION: Final = 518
MARRIED: Final = 519
AGE: Final = 520
TOO_MANY_PROPERTIES: Final = 522
NO_IDENTITY: Final = 523
NO_TYPE: Final = 524
TIMESTAMP: Final = 525
OBJECT_ID: Final = 526
TOKEN_OBJECT_ID: Final = 530
TOKEN_DATA: Final = 531
NO_TOKEN_ID: Final = 532
NO_TOKEN_TYPE: Final = 533
TOKEN_TYPE: Final = 534
TOKEN_ID: Final = 535
OTHER: Final = 555


class Flaw(Exception):
    """Why a record, or a value of it, cannot be taken."""

    def __init__(self, code: int, message: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.code, self.message = code, message
