"""What the customers do on a day: come by, look, put into the cart, buy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from config.demo.people import CATEGORIES, Customer

# Name, price in rupees.
_PRODUCTS: Final[dict[str, tuple[tuple[str, int], ...]]] = {
    "Black tea": (("Assam second flush, 250 g", 540), ("Nilgiri frost, 100 g", 690), ("Kitchen chai blend, 500 g", 420)),
    "Green tea": (("Darjeeling green, 100 g", 760), ("Jasmine pearls, 100 g", 1_150)),
    "Spices": (("Cardamom, 50 g", 390), ("Masala for chai, 100 g", 260), ("Saffron, 1 g", 480)),
    "Cookware": (("Cast iron tawa", 1_890), ("Steel saucepan with spout", 1_240), ("Kadai, 26 cm", 2_350)),
    "Tea sets": (("Brass kettle", 2_900), ("Glass cups, set of 6", 780), ("Clay kulhads, set of 4", 460)),
    "Gifts": (("Diwali tea box", 1_600), ("Estate sampler, 8 tins", 2_200)),
}
_PAYMENTS: Final = ("UPI", "UPI", "Card", "Cash on delivery")


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that a customer did; `minute` counts from midnight."""

    customer: Customer
    name: str
    minute: int
    properties: dict[str, Any]


def spend_day(*, customers: Sequence[Customer], day: int, random: Random) -> Iterator[Deed]:
    """Let a day pass: yield what is done, and change what the shop knows of those who do it."""
    for customer in customers:
        if customer.joined_on < day:
            continue
        if customer.opted_out_on is None and random.random() < 0.002:
            customer.opted_out_on = day
        if random.random() < customer.keen:
            yield from _visit(customer, day=day, random=random)


def _visit(customer: Customer, *, day: int, random: Random) -> Iterator[Deed]:
    minute = min(int(random.gauss(19, 3.2) % 24 * 60), 1_400)
    yield Deed(customer, "App Launched", minute, {"Platform": random.choice(("Android", "Android", "iOS"))})
    product, price, category = "", 0, ""
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        category = customer.favourite if random.random() < 0.6 else random.choice(CATEGORIES)
        product, price = random.choice(_PRODUCTS[category])
        minute += random.randrange(1, 4)
        yield Deed(customer, "Product Viewed", minute, {"Product": product, "Category": category, "Price": price})
    if not product or random.random() > 0.4:
        return
    minute += 1
    quantity = random.choice((1, 1, 1, 2))
    yield Deed(
        customer, "Added To Cart", minute, {"Product": product, "Category": category, "Price": price, "Quantity": quantity}
    )
    customer.cart_on = day
    if random.random() > 0.45:
        return
    minute += random.randrange(2, 12)
    amount = price * quantity
    bought = {"Amount": amount, "Currency": "INR", "Items": quantity, "Product": product, "Category": category}
    yield Deed(customer, "Charged", minute, bought | {"Payment": random.choice(_PAYMENTS)})
    customer.cart_on, customer.last_order_on = None, day
    customer.orders += 1
    customer.spent += amount
    customer.tea_orders += category.endswith("tea")
