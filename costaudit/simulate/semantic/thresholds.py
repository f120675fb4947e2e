"""Similarity thresholds as they are written on the command line and in products."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from costaudit.errors import UsageError


@dataclass(frozen=True)
class Scale:
    """A linear scale: cosine = at_zero + per_unit x value."""

    name: str
    at_zero: Decimal
    per_unit: Decimal
    meaning: str

    def cosine(self, value: Decimal) -> Decimal:
        """Return the cosine of a value of this scale."""
        return self.at_zero + self.per_unit * value


_ONE, _TWO, _HALF = Decimal(1), Decimal(2), Decimal("0.5")
SCALES = {
    scale.name: scale
    for scale in (
        Scale("cos", Decimal(0), _ONE, "cosine similarity"),
        Scale("redis", _ONE, -_ONE, "cosine distance, 0 to 2 (RedisVL distance_threshold)"),
        Scale("langcache", -_ONE, _TWO, "(2 - distance) / 2 (LangCache, scale redis)"),
        Scale("gptcache", -_ONE, _TWO, "1 - squared Euclidean distance / 4 (GPTCache with FAISS)"),
        Scale("vset", -_ONE, _TWO, "(1 + cosine) / 2 (VSIM of Redis vector sets)"),
        Scale("l2", _ONE, -_HALF, "squared Euclidean distance of unit vectors"),
    )
}
PLAIN = ("portkey", "litellm", "sulci", "vcache")  # cosine similarity as it is
DISTANCES = ("redisvl", "betterdb", "langchain-redis")  # cosine distance, as redis
HALVES = ("khazad",)  # (1 + cosine) / 2, as Redis vector sets rate


def scale_named(name: str) -> Scale:
    """Find a scale, or the scale of a product; raises UsageError for an unknown name."""
    lowered = name.strip().lower()
    if lowered in PLAIN:
        return SCALES["cos"]
    if lowered in DISTANCES:
        return SCALES["redis"]
    if lowered in HALVES:
        return SCALES["vset"]
    if lowered not in SCALES:
        raise UsageError(
            f"Unknown similarity scale {name!r}.",
            hint=f"Choose from {', '.join(sorted({*SCALES, *PLAIN, *DISTANCES, *HALVES}))}.",
        )
    return SCALES[lowered]


_MOST = 1_000


def parse_thresholds(text: str) -> tuple[float, ...]:
    """Read `0.70:0.99:0.01`, `0.8,0.9` or `redis:0.1,gptcache:0.8` as rising cosines.

    A range names its first and last value and a step, and holds both ends if the step meets them.
    A scale before a value or a range says what it measures, cosine unless named. Raises UsageError
    for what can't be read, and for thresholds outside (0, 1].
    """
    found: set[Decimal] = set()
    for part in text.split(","):
        item = part.strip()
        head, colon, rest = item.partition(":")
        named = bool(colon) and not _is_number(head)
        scale = scale_named(head if named else "cos")
        found.update(_cosines(scale, rest if named else item, item))
    if len(found) > _MOST:
        raise UsageError(
            f"{len(found):,} thresholds are more than {_MOST:,}.", hint="Take a larger step."
        )
    return tuple(float(cosine) for cosine in sorted(found))


def _cosines(scale: Scale, values: str, item: str) -> list[Decimal]:
    numbers = [_number(value, item) for value in values.split(":")]
    if len(numbers) == 3:
        first, last, step = numbers
        if step <= 0 or last < first or (last - first) / step > _MOST:
            raise UsageError(
                f"The range {item!r} can't be used.",
                hint="Write FIRST:LAST:STEP with a rising range, such as 0.70:0.99:0.01.",
            )
        numbers = [first + step * place for place in range(int((last - first) / step) + 1)]
    elif len(numbers) != 1:
        raise _unreadable(item)
    cosines = [scale.cosine(number) for number in numbers]
    for cosine in cosines:
        if not 0 < cosine <= 1:
            raise UsageError(
                f"The threshold {item!r} is a cosine similarity of {cosine.normalize():f}.",
                hint="Give thresholds whose cosine similarity is above 0 and at most 1.",
            )
    return cosines


def _number(value: str, item: str) -> Decimal:
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        raise _unreadable(item) from None
    if not number.is_finite():
        raise _unreadable(item)
    return number


def _is_number(text: str) -> bool:
    try:
        return Decimal(text.strip()).is_finite()
    except InvalidOperation:
        return False


def _unreadable(item: str) -> UsageError:
    return UsageError(
        f"The threshold {item!r} can't be read.",
        hint="Write a value such as 0.9 or redis:0.1, or a range such as 0.70:0.99:0.01.",
    )
