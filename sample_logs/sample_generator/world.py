"""The invented shops, their customers and their orders."""

import datetime as dt
import math
import random
from dataclasses import dataclass, field

START = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)
DAYS = 30
CARRIERS = ["Rutalia", "Nordpost Express", "Correvia", "Mensaxo"]
MONTHS = {
    "en": {9: "September", 10: "October", 11: "November"},
    "es": {9: "septiembre", 10: "octubre", 11: "noviembre"},
}
WEEKDAYS = {
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "es": ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
}


@dataclass(frozen=True)
class Tenant:
    """One shop of the group."""

    id: str
    name: str
    prefix: str  # of its order numbers
    return_days: int
    spanish_share: float
    weight: float  # share of the traffic
    users: int

    @property
    def email(self) -> str:
        """Return the address of the support team."""
        return f"{self.id}@example.com"


TENANTS = [
    Tenant("norvane", "Norvane Outdoor", "NV", 30, 0.25, 0.36, 900),
    Tenant("casaluna", "Casaluna Textil", "CL", 60, 0.80, 0.21, 520),
    Tenant("pixelhob", "Pixelhob", "PX", 14, 0.30, 0.17, 430),
    Tenant("larkspur", "Larkspur Care", "LK", 30, 0.15, 0.12, 300),
    Tenant("bibliomar", "Bibliomar", "BM", 30, 0.75, 0.08, 200),
    Tenant("trotamundi", "Trotamundi", "TM", 30, 0.55, 0.06, 150),
]


def spoken_date(day: dt.datetime, language: str) -> str:
    """Write a date as the assistant says it."""
    weekday = WEEKDAYS[language][day.weekday()]
    month = MONTHS[language][day.month]
    return f"{weekday} {day.day} {'de ' if language == 'es' else ''}{month}"


@dataclass
class Order:
    """An order and when it changed its state."""

    id: str
    shipped: dt.datetime
    delivered: dt.datetime
    carrier: str

    def state(self, moment: dt.datetime) -> str:
        """Return the status at a moment."""
        if moment < self.shipped:
            return "preparing"
        return "shipped" if moment < self.delivered else "delivered"


@dataclass
class User:
    """A customer of one shop."""

    id: str
    tenant: Tenant
    language: str
    name: str
    orders: list[Order] = field(default_factory=list)

    def order(self, moment: dt.datetime, rng: random.Random) -> Order:
        """Return the order this customer asks about, placing one if there is none recent."""
        recent = [o for o in self.orders if abs((o.delivered - moment).days) <= 6]
        if recent:
            return recent[-1]
        placed = moment - dt.timedelta(days=rng.uniform(0.1, 6.5))
        shipped = placed + dt.timedelta(hours=rng.uniform(14, 40))
        order = Order(
            id=f"{self.tenant.prefix}-{rng.randrange(100_000, 999_999)}",
            shipped=shipped,
            delivered=shipped + dt.timedelta(days=rng.uniform(1.8, 4.5)),
            carrier=rng.choice(CARRIERS),
        )
        self.orders.append(order)
        return order


FIRST_NAMES = [
    *["Alba", "Bruno", "Carla", "Darío", "Elena", "Fermín", "Gloria", "Hugo", "Irene", "Joel"],
    *["Kate", "Liam", "Maeve", "Noel", "Olive", "Pilar", "Quim", "Rosa", "Saúl", "Tess"],
    *["Uma", "Vera", "Wes", "Ximena", "Yago", "Zoe", "Marta", "Nico", "Owen", "Paula"],
]


def make_users(rng: random.Random) -> dict[str, list[User]]:
    """Invent the customers of every shop."""
    return {
        tenant.id: [
            User(
                id=f"u-{tenant.prefix.lower()}-{number:04d}",
                tenant=tenant,
                language="es" if rng.random() < tenant.spanish_share else "en",
                name=rng.choice(FIRST_NAMES),
            )
            for number in range(1, tenant.users + 1)
        ]
        for tenant in TENANTS
    }


def pick_user(users: list[User], rng: random.Random) -> User:
    """Pick a customer; a few write much more often than most."""
    return users[min(int(len(users) * rng.random() ** 1.6), len(users) - 1)]


HOURS = [
    *[4, 3, 2, 2, 2, 4, 10, 24, 46, 68, 80, 84, 78, 64, 58, 62, 70, 76, 80, 78, 64, 44, 22, 9],
]
WEEKDAY_LEVEL = [1.22, 1.12, 1.06, 1.04, 1.0, 0.72, 0.62]
INCIDENTS = [(6, 13, 19, 2.2), (18, 6, 22, 1.6)]  # day index, first hour, last hour, level


def _level(day: int, hour: int) -> float:
    weekday = (START + dt.timedelta(days=day)).weekday()
    level = HOURS[hour] * WEEKDAY_LEVEL[weekday] * (1 + 0.12 * math.sin(day / 4.5))
    for incident_day, first, last, factor in INCIDENTS:
        if day == incident_day and first <= hour < last:
            level *= factor
    return level


class Clock:
    """Draws moments of the month with its daily and weekly rhythm."""

    def __init__(self) -> None:
        self._slots = [(day, hour) for day in range(DAYS) for hour in range(24)]
        self._levels = [_level(day, hour) for day, hour in self._slots]

    def draw(self, rng: random.Random) -> dt.datetime:
        """Draw the start of a conversation."""
        day, hour = rng.choices(self._slots, self._levels)[0]
        seconds = day * 86_400 + hour * 3_600 + rng.randrange(3_600)
        return START + dt.timedelta(seconds=seconds, milliseconds=rng.randrange(1_000))


def in_incident(moment: dt.datetime) -> bool:
    """Tell whether the shops have an outage at a moment."""
    day, hour = (moment - START).days, moment.hour
    return any(day == d and first <= hour < last for d, first, last, _ in INCIDENTS)
