"""Who there is: customers' accounts and the people in them, drawn from a seeded generator."""

from dataclasses import dataclass
from random import Random
from uuid import UUID

SECOND = 1_000_000  # instants and durations are whole microseconds
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

STAFF_DOMAIN = "planboard.example"
COMPETITOR_DOMAINS = ("rival.example", "copycat.example")
DISPOSABLE_DOMAINS = ("mailinator.example", "tempmail.example")

_FIRST = (
    "Ada",
    "Ben",
    "Cleo",
    "Dag",
    "Eve",
    "Finn",
    "Gus",
    "Hana",
    "Ida",
    "Jon",
    "Kai",
    "Lea",
    "Max",
    "Noor",
    "Ole",
    "Pia",
    "Quin",
    "Rosa",
    "Sam",
    "Tove",
    "Uma",
    "Vic",
    "Wren",
    "Yuki",
    "Zoe",
)
_LAST = (
    "Abel",
    "Berg",
    "Cruz",
    "Diaz",
    "Egli",
    "Frei",
    "Gold",
    "Holm",
    "Ito",
    "Jung",
    "Katz",
    "Lind",
    "Moor",
    "Nash",
    "Okoye",
    "Pohl",
    "Rey",
    "Sato",
    "Toft",
    "Vega",
    "Wolf",
    "Zorn",
)
_BRANDS = (
    "Acorn",
    "Birch",
    "Cobalt",
    "Delta",
    "Ember",
    "Fjord",
    "Gamma",
    "Harbor",
    "Indigo",
    "Juniper",
    "Krypton",
    "Lumen",
    "Maple",
    "Nimbus",
    "Onyx",
    "Prism",
    "Quartz",
)
_TRADES = (
    "Labs",
    "Works",
    "Media",
    "Retail",
    "Systems",
    "Studio",
    "Bank",
    "Foods",
    "Travel",
    "Energy",
    "Books",
    "Tools",
)
_INDUSTRIES = ("software", "finance", "media", "retail", "manufacturing", "other")


@dataclass(frozen=True, kw_only=True)
class Account:
    """A customer's workspace."""

    account_id: str
    name: str
    domain: str
    industry: str
    employees: int
    segment: str
    test: bool = False  # made by a test or a demo

    def traits(self) -> dict[str, object]:
        """What a `group` call says of it; `test` only where true, as real products do."""
        traits: dict[str, object] = {
            "name": self.name,
            "domain": self.domain,
            "industry": self.industry,
            "employees": self.employees,
            "segment": self.segment,
        }
        return traits | {"test": True} if self.test else traits


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who uses the product: by an anonymous id at first, by a user id once signed up."""

    user_id: str
    anonymous_id: str
    name: str
    email: str
    role: str
    bot: bool = False

    def traits(self) -> dict[str, object]:
        """What an `identify` call says of them."""
        traits: dict[str, object] = {
            "name": self.name,
            "email": self.email,
            "email_domain": self.email.partition("@")[2],
            "role": self.role,
        }
        return traits | {"bot": True} if self.bot else traits


class World:
    """Draws accounts and people. Ids carry the seed, so that two simulated worlds share nobody."""

    def __init__(self, seed: int, rng: Random) -> None:
        self._seed = seed
        self._rng = rng
        self.accounts: list[Account] = []
        self.people: list[Person] = []

    def account(self, *, domain: str | None = None, segment: str | None = None, test: bool = False) -> Account:
        """A new account; what is not given is drawn."""
        rng = self._rng
        number = len(self.accounts) + 1
        name = f"{rng.choice(_BRANDS)} {rng.choice(_TRADES)}"
        employees = int(2 ** rng.uniform(1, 12))
        account = Account(
            account_id=f"acc-{self._seed}-{number}",
            name=name,
            domain=domain or f"{name.lower().replace(' ', '-')}-{number}.example",
            industry=rng.choice(_INDUSTRIES),
            employees=employees,
            segment=segment or ("smb" if employees < 100 else "midmarket" if employees < 1000 else "enterprise"),
            test=test,
        )
        self.accounts.append(account)
        return account

    def person(self, domain: str, *, role: str = "member", bot: bool = False) -> Person:
        """A new person with an address at this domain."""
        rng = self._rng
        number = len(self.people) + 1
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        person = Person(
            user_id=f"usr-{self._seed}-{number}",
            anonymous_id=str(UUID(int=rng.getrandbits(128), version=4)),
            name=f"{first} {last}",
            email=f"{first}.{last}.{number}@{domain}".lower(),
            role=role,
            bot=bot,
        )
        self.people.append(person)
        return person
