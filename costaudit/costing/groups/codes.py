"""Number the values of a column, which are quicker to group by than texts."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

# Columns with texts that several figures are grouped by. Columns that rules compare stay texts.
KEYED = ("provider", "model", "endpoint", "tenant", "user", "session", "agent")


class Coded(NamedTuple):
    """A column as the numbers of its values."""

    code: npt.NDArray[np.int64]  # place of each row's value in `names`
    names: list[str]  # in order; "" for rows without a value


def keyed(requests: pl.DataFrame) -> pl.DataFrame:
    """Return the requests with KEYED columns as enumerations, so that each is numbered once."""
    return requests.with_columns(
        enumerated(requests.select(name).to_series()) for name in KEYED if name in requests
    )


def enumerated(values: pl.Series) -> pl.Series:
    """Return a column of texts as an enumeration of its values in order; others as they are."""
    if values.dtype != pl.String:
        return values
    return values.cast(pl.Enum(values.unique().drop_nulls().sort()))


def coded(values: pl.Series) -> Coded:
    """Return the numbers of a column of texts, days or hours, which are quicker to group by."""
    if values.null_count() == len(values):
        return Coded(np.zeros(len(values), np.int64), [""] if len(values) else [])
    if values.dtype in (pl.Date, pl.Int8):
        return _coded_numbers(values)
    if isinstance(values.dtype, pl.Enum):
        return _coded_enumeration(values, values.dtype.categories)
    filled = values.cast(pl.String).fill_null("")
    return _coded_enumeration(enumerated(filled), filled.unique().sort())


def _coded_enumeration(values: pl.Series, categories: pl.Series) -> Coded:
    """Return the code of an enumeration without the categories that no row has."""
    lacking = values.has_nulls() and (not len(categories) or categories[0] != "")
    names = ["", *categories] if lacking else categories.to_list()
    number = values.to_physical().cast(pl.Int64).fill_null(-1 if lacking else 0).to_numpy()
    code = number + 1 if lacking else number
    used = np.bincount(code, minlength=len(names)) > 0
    if used.all():
        return Coded(code, names)
    place = np.cumsum(used) - 1
    return Coded(place[code], [name for name, is_used in zip(names, used, strict=True) if is_used])


def _coded_numbers(values: pl.Series) -> Coded:
    """Return the code of days (dates) or hours (Int8), which polars holds as numbers."""
    every = values.unique().sort(nulls_last=False)
    number = values.to_physical().cast(pl.Int64)
    known = every.drop_nulls().to_physical().cast(pl.Int64).to_numpy()
    place = np.zeros(int(known[-1] - known[0]) + 2, np.int64)  # the first one is for null
    place[known - known[0] + 1] = np.arange(len(every) - len(known), len(every))
    code = place[(number - int(known[0]) + 1).fill_null(0).to_numpy()]
    return Coded(code, every.cast(pl.String).str.zfill(2).fill_null("").to_list())
