"""When padding a short prefix, or an explicit cache, costs less than doing without."""

from decimal import Decimal
from fractions import Fraction


def padding_pays(
    shared_tokens: int, minimum_tokens: int, uses: int, read_mult: str, write_mult: str
) -> bool:
    """Tell whether lengthening a shared prefix to the minimum costs less than paying it in full.

    `uses` requests share it: one writes, the others read. Source: OpenAI's prompt caching guide.
    """
    read, write = Fraction(read_mult), Fraction(write_mult)
    return Fraction(shared_tokens) * uses > minimum_tokens * (write + read * (uses - 1))


def explicit_cache_reads(
    input_per_mtok: Decimal, read_per_mtok: Decimal, storage_per_mtok_hour: Decimal, hours: Decimal
) -> int:
    """Count the reads from which on a stored cache costs less than sending the tokens each time.

    Writing costs the input price, and storage runs for `hours`. Source: Google's price list.
    """
    fixed = Fraction(input_per_mtok) + Fraction(storage_per_mtok_hour) * Fraction(hours)
    return int(fixed / (Fraction(input_per_mtok) - Fraction(read_per_mtok))) + 1
