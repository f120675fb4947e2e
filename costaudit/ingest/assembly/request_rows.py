"""Gather rows of REQUESTS from the pieces, and write MERGED."""

from collections import Counter
from collections.abc import Iterator
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.requests import INPUT_CLASSES, MERGED, REQUESTS, SETTINGS, TOKEN_CLASSES
from costaudit.contracts.run_dir import RunDir, write_table
from costaudit.ingest.content.image_tokens import ImageSize, image_tokens
from costaudit.ingest.staging.piece_tables import SIZE, lists_of
from costaudit.ingest.staging.pieces import TakenRows

Ints = npt.NDArray[np.int64]


def split_totals(weights: Ints, sizes: Ints, totals: Ints) -> Ints:
    """Split each row's total in proportion to its weights, in whole tokens that sum to the total.

    `weights` holds the weights of all rows, concatenated; `sizes` is how many each row has. It
    rounds by the largest remainder; of equal remainders, the earlier segment gets the token. A row
    whose weights are all zero is split evenly.
    """
    row = np.repeat(np.arange(len(sizes)), sizes)
    sums = np.bincount(row, weights, len(sizes)).astype(np.int64)
    weights = np.where(sums[row] == 0, 1, weights)
    sums = np.where(sums == 0, sizes, sums)
    product = weights * totals[row]
    floors = product // sums[row]
    remainders = product - floors * sums[row]
    missing = totals - np.bincount(row, floors, len(sizes)).astype(np.int64)
    order = np.argsort(row * (remainders.max(initial=0) + 1) - remainders, kind="stable")
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(len(weights), np.int64)
    rank[order] = np.arange(len(weights)) - np.repeat(starts, sizes)
    return np.asarray(floors + (rank < missing[row]), np.int64)


def with_media(tokens: Ints, is_known: npt.NDArray[np.bool_], sizes: Ints, totals: Ints) -> Ints:
    """Return `tokens`, where segments of unknown count get equal shares of what the others leave.

    These are segments such as images. The tokens left are a row's total minus its known counts.
    """
    row = np.repeat(np.arange(len(sizes)), sizes)
    texts = np.bincount(row, np.where(is_known, tokens, 0), len(sizes)).astype(np.int64)
    unknown = np.bincount(row, ~is_known, len(sizes)).astype(np.int64)
    share = np.maximum(totals - texts, 0) // np.maximum(unknown, 1)
    return np.where(is_known, tokens, share[row])


_LEAST_TEXT = 0.5  # of the counted tokens of texts, below which the images' own are wrong


def beside_images(weights: Ints, fixed: npt.NDArray[np.bool_], sizes: Ints, totals: Ints) -> Ints:
    """Split each row's total, where segments that are `fixed` keep their tokens.

    So an image takes nothing of what the tokenizer miscounts in texts, and a text has the same
    tokens with an image and without. A row that would leave too little for its texts, or has none,
    is split over all of its segments.
    """
    if not fixed.any():
        return split_totals(weights, sizes, totals)
    row = np.repeat(np.arange(len(sizes)), sizes)
    held, texts = (
        np.bincount(row, np.where(mine, weights, 0), len(sizes)).astype(np.int64)
        for mine in (fixed, ~fixed)
    )
    left = totals - held
    fits = (texts > 0) & (left >= _LEAST_TEXT * texts)
    kept = fixed & fits[row]
    split = split_totals(np.where(kept, 0, weights), sizes, np.where(fits, left, totals))
    return np.where(kept, weights, split)


COUNTED = (
    *INPUT_CLASSES,
    "cache_write_other_ttl",
    "output_tokens",
    "reasoning_tokens",
    "usage_source",
    "usage_convention",
    "attempt",
    "request_id",
    "source_file",
    "model",
)
PLACED = ("piece", "row", "prompt_piece", "prompt_row", *COUNTED)
OWN_COUNTS = ("attempt", "usage_source", "model", "source_file")  # both in COUNTED and staged
OF_PROMPT = ("segments", "turn_index")
SHARED = ("temperature", "endpoint", "tenant", "user", "conversation", "account", "session",
          *SETTINGS)  # fmt: skip  # in a batch, either half may have them


def request_rows(chosen: pl.DataFrame, pieces: TakenRows) -> pl.DataFrame:
    """Return rows of REQUESTS; `chosen` holds the columns PLACED in order, pieces hold the rest."""
    chosen = chosen.with_row_index("place")
    own = chosen.select("piece", "row", "place", *COUNTED)
    prompts = chosen.select("place", piece="prompt_piece", row="prompt_row")
    parts = []
    for number, group in _by_piece(own):
        staged, _ = pieces.of(number, group["row"])
        taken = staged.drop(*OF_PROMPT, "attempt", "usage_source", "model", "source_file")
        parts.append(pl.concat([group.drop("piece", "row"), taken], how="horizontal"))
    asked, segments = _prompts(prompts, pieces)
    rows = pl.concat([_in_order(parts), asked.drop("place")], how="horizontal")
    return (
        rows.with_columns(
            _segments(rows, segments),
            ts=pl.col("ts_us").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            source_offset=pl.col("offset"),
            **{name: pl.coalesce(name, f"asked_{name}") for name in SHARED},
        )
        .select(REQUESTS.names())
        .cast(REQUESTS)
    )


def _prompts(chosen: pl.DataFrame, pieces: TakenRows) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the columns that rows take from the row with their prompt, and a segment table.

    `segments` of the first holds indices into the second.
    """
    parts: list[pl.DataFrame] = []
    tables: list[pl.DataFrame] = []
    for number, group in _by_piece(chosen):
        staged, segments = pieces.of(number, group["row"])
        taken = staged.select(*OF_PROMPT, *(pl.col(name).alias(f"asked_{name}") for name in SHARED))
        if len(group) < len(chosen):  # several pieces: keep only the segments that are used
            start = sum(map(len, tables))
            used, places = np.unique(_flat(taken["segments"]).to_numpy(), return_inverse=True)
            moved = pl.Series("segments", (places + start).astype(np.uint32))
            taken = taken.with_columns(lists_of(moved, _sizes(taken["segments"])))
            segments = segments[used]
        parts.append(pl.concat([group.select("place"), taken], how="horizontal"))
        tables.append(segments)
    return _in_order(parts), pl.concat(tables)


def _by_piece(rows: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    for (number,), group in rows.group_by("piece", maintain_order=True):
        yield cast(int, number), group


def _in_order(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return parts[0] if len(parts) == 1 else pl.concat(parts).sort("place")


def _sizes(lists: pl.Series) -> npt.NDArray[np.int64]:
    return lists.list.len().cast(pl.Int64).to_numpy()


def _flat(lists: pl.Series) -> pl.Series:
    return lists.explode(empty_as_null=False) if len(lists) else lists.explode()


def _segments(rows: pl.DataFrame, segments: pl.DataFrame) -> pl.Series:
    """Return each row's segments, with its billed input split over them."""
    sizes = _sizes(rows["segments"])
    found = segments[_flat(rows["segments"])]
    billed = rows.select(pl.sum_horizontal(INPUT_CLASSES, ignore_nulls=False)).to_series()
    totals = billed.fill_null(0).to_numpy()
    of_images = _of_images(found, rows, sizes)
    counted = found["tokens"].fill_null(of_images)
    known = counted.is_not_null().to_numpy()
    weights = with_media(counted.fill_null(0).to_numpy(), known, sizes, totals)
    fixed = (found["tokens"].is_null() & of_images.is_not_null()).to_numpy()
    split = pl.Series("tokens", beside_images(weights, fixed, sizes, totals), dtype=pl.Int32)
    if billed.null_count():
        is_billed = pl.Series(np.repeat(billed.is_not_null().to_numpy(), sizes))
        split = pl.select(pl.when(is_billed).then(split)).to_series()
    told = found.drop(*SIZE).with_columns(split.alias("tokens"))
    return lists_of(told.to_struct("segments"), sizes)


def _of_images(found: pl.DataFrame, rows: pl.DataFrame, sizes: Ints) -> pl.Series:
    """Return the tokens of each image: a share of the logged image tokens, else by its size.

    Other segments, and images of unknown size, are null.
    """
    places = np.flatnonzero((found["kind"] == "image").to_numpy())
    if not len(places):
        return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(found))
    tokens: list[int | None] = [None] * len(found)
    owners = np.repeat(np.arange(len(sizes)), sizes)[places].tolist()
    images = Counter(owners)
    models = rows["model"].fill_null("")
    unit = pl.element().struct.field("unit") == "image_input_token"
    counts = rows["billed_units"].list.eval(pl.element().filter(unit).struct.field("quantity"))
    counted = counts.list.first()
    for place, owner, size in zip(places, owners, found[places].select(*SIZE).rows(), strict=True):
        if counted[owner] is not None:
            tokens[place] = round(counted[owner] / images[owner])
        elif size[0] is not None:
            tokens[place] = image_tokens(models[owner], ImageSize(size[0], size[1], size[2]))
    return pl.Series(tokens, dtype=pl.Int64)


IN_PIECES = ("service_tier", "is_batch", "region", "cache_options", "billed_units")


def write_merged(run: RunDir, merged: pl.DataFrame, names: pl.DataFrame) -> None:
    """Write MERGED with the columns that price merged rows; remove it if no row was merged.

    `names` holds `at` and `request_id` of the rows that were kept.
    """
    if merged.is_empty():
        run.merged_path.unlink(missing_ok=True)
        return
    names = names.rename({"at": "merged_into"})
    rows = merged.join(names, on="merged_into", how="left", maintain_order="left")
    told = rows.select(
        "source_file",
        pl.col("offset").alias("source_offset"),
        pl.col("merge_reason").alias("reason"),
        pl.col("request_id").alias("merged_into"),
        pl.from_epoch("ts_us", "us").dt.replace_time_zone("UTC").alias("ts"),
        "provider",
        "model",
        *TOKEN_CLASSES,
        "cache_write_other_ttl",
        "logged_cost",
        "cost_unit",
        "served_by",
        *IN_PIECES,
    )
    write_table(told.select(MERGED.names()).cast(MERGED), run.merged_path, MERGED)
