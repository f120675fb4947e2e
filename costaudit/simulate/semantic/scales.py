"""The scales on which products state their similarity thresholds, and what they mean as cosines."""

from dataclasses import dataclass
from decimal import Decimal

from costaudit.errors import UsageError


@dataclass(frozen=True)
class Scale:
    """A linear scale: cosine = at_zero + per_unit x value."""

    name: str
    at_zero: Decimal
    per_unit: Decimal
    meaning: str

    def cosine(self, value: Decimal) -> Decimal:
        """Give the cosine that a value of this scale stands for."""
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
