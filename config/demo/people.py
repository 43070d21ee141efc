"""The customers of the shop: made up, the same on every run. All addresses end in example.com, .net or .org."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

# Given names, family names, cities and how often, per part of the clientele.
_PARTS: Final[tuple[tuple[int, str, str, str], ...]] = (
    (
        30,
        "Asha Arjun Divya Kiran Lakshmi Manoj Meena Naveen Pooja Raghav Rekha Sanjay Shruti Suresh Vidya Vikram Anitha Deepak",
        "Rao Gowda Shetty Hegde Murthy Bhat Kulkarni Reddy Nair Menon Iyer Pillai Varma Krishnan",
        "Bangalore:6 Mysore:1 Kochi:2 Hyderabad:3 Chennai:3",
    ),
    (
        28,
        "Aarav Aditi Amit Ananya Gaurav Ishaan Kavya Neha Nikhil Priya Rahul Ritika Rohan Sakshi Sneha Tanvi Varun Yash",
        "Sharma Gupta Verma Mehta Shah Joshi Desai Patel Kapoor Malhotra Agarwal Chopra Jain Bhatia",
        "Mumbai:6 Pune:3 Delhi:4 Jaipur:1 Ahmedabad:2",
    ),
    (
        12,
        "Abhijit Arpita Debashish Indrani Moumita Partha Rituparna Sayan Sohini Subhash Swati Tapas",
        "Banerjee Bose Chatterjee Das Dutta Ghosh Mukherjee Roy Sen",
        "Kolkata:4 Siliguri:1",
    ),
    (
        18,
        "Wei Ling:Jun Hao:Hui Min:Kai Xin:Li Ting:Zhi Wei:Mei Fen:Yong Sheng:Xiu Ying:Jia Hui:Boon Kiat:Siew Lan",
        "Tan Lim Lee Ng Ong Wong Goh Chua Chan Koh Teo Ang",
        "Singapore:1",
    ),
    (
        7,
        "Aisyah Farhan Hafiz Nadia Nurul Rizal Siti Zainab Faizal Haziq",
        "Ismail Rahman Osman Yusof Hassan Salleh Karim",
        "Singapore:1",
    ),
    (5, "Anand Jaya Kumaran Malathi Prem Shanti Thiru Uma", "Pillai Naidu Samy Raj Subramaniam Nathan", "Singapore:1"),
)
CATEGORIES: Final = ("Black tea", "Green tea", "Spices", "Cookware", "Tea sets", "Gifts")
_LANGUAGES: Final = {"Bangalore": "Kannada", "Mumbai": "Marathi", "Chennai": "Tamil", "Kolkata": "Bengali", "Delhi": "Hindi"}


@dataclass(slots=True)
class Customer:
    """A customer, and what the shop knows of them so far. Days count down to 0, which is today."""

    identity: str
    mixpanel_id: str
    first_name: str
    last_name: str
    email: str | None
    phone: str | None
    city: str
    favourite: str
    newsletter: bool
    # How often they come by, as the chance of one day.
    keen: float
    # The day on which they sign in for the first time: until then Mixpanel sends the distinct id alone.
    known_on: int
    joined_on: int
    orders: int = 0
    spent: int = 0
    tea_orders: int = 0
    cart_on: int | None = None
    last_order_on: int | None = None
    opted_out_on: int | None = None
    tags: set[str] = field(default_factory=set)

    @property
    def tier(self) -> str:
        """Return the loyalty tier that the spending of their life has earned, in rupees."""
        return "Gold" if self.spent >= 20_000 else "Silver" if self.spent >= 6_000 else "Member"

    def ids(self, *, day: int, from_accounts: bool) -> dict[str, Any]:
        """Return what the person is known by at Mixpanel on a day.

        Before they sign in for the first time, the list of accounts and the lists made from behaviour do not know that
        they speak of the same person.
        """
        if day <= self.known_on:
            return {"mixpanel_distinct_id": self.mixpanel_id, "$CleverTap_user_id": self.identity}
        return {"$CleverTap_user_id": self.identity} if from_accounts else {"mixpanel_distinct_id": self.mixpanel_id}

    def member(self, *, day: int, from_accounts: bool) -> dict[str, Any]:
        """Return the person as Mixpanel exports them on a day."""
        facts = self.ids(day=day, from_accounts=from_accounts)
        facts |= {"first_name": self.first_name, "last_name": self.last_name}
        if self.email:
            facts["email"] = self.email
        if self.phone:
            facts["phone_number"] = self.phone
        facts |= {
            "City": self.city,
            "Country": "Singapore" if self.city == "Singapore" else "India",
            "Language": _LANGUAGES.get(self.city, "English"),
            "Loyalty tier": self.tier,
            "Favourite": self.favourite,
            "Orders": self.orders,
            "Spent": self.spent,
            "Newsletter": self.newsletter,
        }
        return facts


def make_customers(*, count: int, random: Random) -> list[Customer]:
    """Make the customers. Most were there before the month began; the others come during it."""
    made = []
    weights = [part[0] for part in _PARTS]
    for number in range(count):
        _, given, family, cities = random.choices(_PARTS, weights)[0]
        first = random.choice(given.split(":") if ":" in given else given.split())
        last = random.choice(family.split())
        places = [place.split(":") for place in cities.split()]
        city = random.choices([place for place, _ in places], [int(often) for _, often in places])[0]
        mobile = f"+65{random.choice('89')}{random.randrange(10**6, 10**7)}" if city == "Singapore" else _indian_mobile(random)
        mail = f"{first}.{last}{number % 97 or ''}@example.{random.choice(('com', 'com', 'net', 'org'))}"
        orders = min(int(random.expovariate(0.35)), 40)
        made.append(
            Customer(
                identity=f"HG-{10_001 + number}",
                mixpanel_id=str(510_000_000 + number * 37 + random.randrange(37)),
                first_name=first,
                last_name=last,
                email=mail.lower().replace(" ", "") if random.random() < 0.9 else None,
                phone=mobile if random.random() < 0.72 else None,
                city=city,
                favourite=random.choice(CATEGORIES),
                newsletter=random.random() < 0.4,
                keen=min(random.expovariate(16), 0.6),
                known_on=random.randrange(2, 16) if number % 40 == 7 else 99,
                joined_on=99 if random.random() < 0.93 else random.randrange(30),
                orders=orders,
                spent=sum(random.randrange(300, 2_600) for _ in range(orders)),
                tea_orders=random.randrange(orders + 1) // 2,
                last_order_on=random.randrange(31, 120) if orders else None,
            ),
        )
    return made


def _indian_mobile(random: Random) -> str:
    return f"+91{random.choice('789')}{random.randrange(10**8, 10**9)}"
