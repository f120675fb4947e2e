"""What makes a given price look like a slip: signs, order of classes, and units."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

CLASSES = (
    "input", "cache read", "5-minute write", "1-hour write", "other write", "output",
)  # fmt: skip
_SLIPS = (
    (Decimal("0.000001"), "dollars per token?"),
    (Decimal("0.001"), "dollars per thousand tokens?"),
    (Decimal("0.01"), "a hundredth of it"),
    (Decimal(100), "cents?"),
    (Decimal(1_000_000), "dollars per million, times a million?"),
)
_FAR = Decimal(20)  # times the list price, or a part of it
_NEAR = Decimal(3)  # of a slip's factor


def doubts(given: Sequence[Decimal], listed: Sequence[Decimal] | None) -> str:
    """Return, in words, what looks wrong with given rates per million tokens; "" if nothing does.

    Both are in the order of PER_MTOK; `listed` is None where no table knows the model.
    """
    found = [*_order(given), *(_far(given, listed) if listed else ())]
    return f"questioned: {', '.join(found)}" if found else ""


def _order(given: Sequence[Decimal]) -> Iterator[str]:
    plain, read, *_, output = given
    if read > plain:
        yield f"cache read {_plain(read)} is above input {_plain(plain)}"
    if output < read:
        yield f"output {_plain(output)} is below cache read {_plain(read)}"
    if output < plain / 2 and output:
        yield f"output {_plain(output)} is below half of input {_plain(plain)}"


def _far(given: Sequence[Decimal], listed: Sequence[Decimal]) -> Iterator[str]:
    said = set()
    for name, mine, theirs in zip(CLASSES, given, listed, strict=True):
        if not theirs or mine in said:
            continue
        ratio = mine / theirs
        if 1 / _FAR < ratio < _FAR:
            continue
        said.add(mine)
        yield f"{name} {_plain(mine)} is far from the list price {_plain(theirs)}{_slip(ratio)}"


def _slip(ratio: Decimal) -> str:
    """Name the unit that would explain a ratio."""
    words = (told for factor, told in _SLIPS if factor / _NEAR < ratio < factor * _NEAR)
    told = next(words, "")
    return f" ({told})" if told else ""


def _plain(rate: Decimal) -> str:
    return format(rate.normalize(), "f")
