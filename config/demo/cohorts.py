"""The cohorts that the shop keeps at Mixpanel, and who is in each on a day."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from config.demo.people import Customer

MIXPANEL_PROJECT: Final = "2195193"


@dataclass(frozen=True, slots=True)
class Cohort:
    """A cohort: who is in it, from which day on it is synced, at what hour, and how.

    `holds` takes a customer and a day; days count down to 0, which is today. Without `dynamic` it is sent once, on
    `starts`. On the days `whole` the full list is sent again, as Mixpanel does when its snapshot has expired.
    """

    id: str
    name: str
    description: str
    starts: int
    hour: int
    holds: Callable[[Customer, int], bool]
    dynamic: bool = True
    whole: Collection[int] = ()
    # Members that no shop would send on purpose.
    odd: tuple[dict[str, Any], ...] = ()
    # Send only so many pages of more: a session that stays unfinished.
    breaks_off: bool = False
    # Made from the shop's list of accounts, not from behaviour.
    from_accounts: bool = False


def _lapsed(customer: Customer, day: int) -> bool:
    return customer.orders > 1 and (customer.last_order_on or 0) - day > 45


def _in_cart(customer: Customer, day: int) -> bool:
    return customer.cart_on is not None and customer.cart_on - day <= 3


COHORTS: Final = (
    Cohort(
        "1638360001", "All customers", "Everyone with an account", 30, 6, lambda _c, _d: True, whole=(12, 1), from_accounts=True
    ),
    Cohort("1638361188", "Cart Drop off", "Added to cart, did not buy within 3 days", 30, 9, _in_cart),
    Cohort("1638362040", "Loyalty Gold", "Spent 20,000 rupees or more", 30, 7, lambda c, _d: c.tier == "Gold"),
    Cohort(
        "1638362041", "Loyalty Silver", "Spent 6,000 to 20,000 rupees", 30, 7, lambda c, _d: c.tier == "Silver", whole=(11,)
    ),
    Cohort("1638363377", "Bought tea twice", "Two tea orders or more", 28, 8, lambda c, _d: c.tea_orders > 1),
    Cohort(
        "1638364512",
        "Newsletter readers, Mumbai",
        "Open the newsletter, live in Mumbai",
        29,
        10,
        lambda c, _d: c.newsletter and c.city == "Mumbai",
    ),
    Cohort("1638365090", "Diwali lapsed buyers", "Bought before, not in the last 45 days", 21, 11, _lapsed, dynamic=False),
    Cohort(
        "1638365733",
        "Bangalore festive offer",
        "In Bangalore, Silver or Gold",
        19,
        12,
        lambda c, _d: c.city == "Bangalore" and c.tier != "Member",
        dynamic=False,
    ),
    Cohort(
        "1638366208",
        "Push opted out",
        "Switched push off",
        26,
        13,
        lambda c, d: c.opted_out_on is not None and not (d <= 8 and c.opted_out_on > 20),
        whole=(8,),
    ),
    Cohort("1638367150", "High-value shoppers", "Ten orders or more", 24, 14, lambda c, _d: c.orders > 9),
    Cohort(
        "1638368421",
        "Store opening guests, Singapore",
        "Asked to come to the opening in Tiong Bahru",
        14,
        15,
        lambda c, _d: c.city == "Singapore" and c.newsletter,
        dynamic=False,
        odd=(
            {"email": "walk.in@example.com", "first_name": "Walk-in"},
            {"$CleverTap_user_id": "", "first_name": "No", "last_name": "Account"},
            {"$CleverTap_user_id": True, "mixpanel_distinct_id": "519000001"},
            {
                "$CleverTap_user_id": "HG-90001",
                "first_name": "Joo Chiat",
                "last_name": "Desk",
                "phone_number": "ask at the desk",
            },
            {"$CleverTap_user_id": "HG-90002", "first_name": "Serene", "last_name": "Quek", "phone_number": "9123"},
            {"$CleverTap_user_id": "HG-90003", "first_name": "Marcus", "last_name": "Low", "phone_number": "+65 12"},
        ),
    ),
    Cohort(
        "1638369004",
        "Warehouse sale sign-ups",
        "Left their address for the sale",
        5,
        16,
        lambda c, _d: c.orders > 2 and c.favourite in {"Cookware", "Tea sets", "Gifts"},
        dynamic=False,
        breaks_off=True,
    ),
)
