"""Find mistakes in a price that a user set: signs, order of classes, and units."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from costaudit.contracts.grades import format_rate

CLASSES = (
    "input", "cache read", "5-minute write", "1-hour write", "other write", "output",
)  # fmt: skip
QUESTIONED = "questioned: "  # starts the part of a note that doubts a user's price
_SLIPS = (
    (Decimal("0.000001"), "dollars per token?"),
    (Decimal("0.001"), "dollars per thousand tokens?"),
    (Decimal("0.01"), "a hundredth of it"),
    (Decimal(100), "cents?"),
    (Decimal(1_000_000), "dollars per million, times a million?"),
)
_FAR = Decimal(20)  # times above or below the list price
_NEAR = Decimal(3)  # times above or below a typical mistake's factor


def doubts(given: Sequence[Decimal], listed: Sequence[Decimal] | None) -> str:
    """Return a text that says what looks wrong with rates per million tokens; "" if nothing does.

    Both arguments are in the order of PER_MTOK; `listed` is None if no table has the model.
    """
    found = [*_order(given), *(_far(given, listed) if listed else ())]
    return f"{QUESTIONED}{', '.join(found)}" if found else ""


def doubted(note: str) -> str:
    """Return the part of a note that doubts a user's price; "" if there is none."""
    parts = (part for part in note.split("; ") if part.startswith(QUESTIONED))
    return next(parts, "").removeprefix(QUESTIONED)


def _order(given: Sequence[Decimal]) -> Iterator[str]:
    plain, read, *_, output = given
    if read > plain:
        yield f"cache read {format_rate(read)} is above input {format_rate(plain)}"
    if output < read:
        yield f"output {format_rate(output)} is below cache read {format_rate(read)}"
    if output < plain / 2 and output:
        yield f"output {format_rate(output)} is below half of input {format_rate(plain)}"


def _far(given: Sequence[Decimal], listed: Sequence[Decimal]) -> Iterator[str]:
    said = set()
    for name, mine, theirs in zip(CLASSES, given, listed, strict=True):
        if not theirs or mine in said:
            continue
        ratio = mine / theirs
        if 1 / _FAR < ratio < _FAR:
            continue
        said.add(mine)
        listed_at = f"the list price {format_rate(theirs)}{_slip(ratio)}"
        yield f"{name} {format_rate(mine)} is far from {listed_at}"


def _slip(ratio: Decimal) -> str:
    """Return the mistake in the unit that would explain a ratio, as text."""
    words = (told for factor, told in _SLIPS if factor / _NEAR < ratio < factor * _NEAR)
    told = next(words, "")
    return f" ({told})" if told else ""
