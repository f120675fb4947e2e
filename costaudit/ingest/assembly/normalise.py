"""Normalise token counts of many conventions to one, checked against each call's own total."""

from math import log

import polars as pl

from costaudit.contracts.requests import NO_CACHE_DETAIL
from costaudit.ingest.calls.call import CLAIMS, Shape
from costaudit.ingest.staging.prompt_rows import MIXED

CERTAIN = (  # known from the provider's documentation, or stated by the call itself
    "openai", "anthropic", "bedrock_converse", "gemini", "xai", "codex", "bedrock_log",
    "openrouter", "inclusive as stated", "exclusive as stated",
)  # fmt: skip
SHAPES = {  # if a total fits several but not the claimed one, the first of them is used
    "inclusive": Shape(True, True),
    "exclusive": Shape(False, True),
    "inclusive, reasoning apart": Shape(True, False),
    "exclusive, reasoning apart": Shape(False, False),
}
TOLERANCE = 2  # tokens by which a provider's total may differ from the sum
GROUP = ("source_file", "provider", "model")

_CACHED = pl.sum_horizontal("cache_read", "cache_write_5m", "cache_write_1h", "cache_write_other")
_NAMES = {shape: name for name, shape in SHAPES.items()}


def normalise(rows: pl.DataFrame, groups: pl.DataFrame | None = None) -> pl.DataFrame:
    """Add the canonical token columns of REQUESTS, `usage_convention` and `was_ambiguous`.

    Needs the columns of a staged row and `source_file`, and the `group_shapes` of the whole log if
    `rows` are a part of it. The shape of a call's counts is decided by
    the first of these that applies:

    1. its own total;
    2. impossible or implausible sums, such as more cached tokens than input;
    3. a certain convention;
    4. the tokenizer: for a file, provider and model, billed input is close to the counted tokens
       of the prompts in one shape only;
    5. the most frequent decision for its file, provider and model.

    Otherwise the call is read as its source claims, and its label says that this is undecided.
    """
    rows = _prepared(rows)
    if groups is None:
        groups = group_shapes(_tally(rows))
    rows = rows.join(groups, on=list(GROUP), how="left", nulls_equal=True, maintain_order="left")
    shape = _with_apart(pl.col("_counted"))
    rows = rows.with_columns(_decided=pl.when("_is_open").then(shape).otherwise("_decided"))
    rows = rows.with_columns(
        _shape=pl.coalesce("_decided", "_vote", "_claimed"),
        was_ambiguous=pl.col("_matters") & pl.col("_decided").is_null(),
    )
    return _canonical(rows).drop(pl.selectors.starts_with("_"))


def _prepared(rows: pl.DataFrame) -> pl.DataFrame:
    """Add what the call itself decides, and whether it is open how to count its cached tokens."""
    claimed: dict[str, str] = {name: _NAMES[shape] for name, shape in CLAIMS.items()}
    rows = _with_lifetimes(rows)
    rows = rows.with_columns(
        _cached=_CACHED,
        _claimed=pl.col("convention").replace_strict(claimed),
    )
    rows = rows.with_columns(reasoning=_with_thoughts())
    rows = rows.with_columns(
        _matters=(pl.col("_cached") > 0) | (pl.col("reasoning") > 0),
        _fitting=_fitting(),
    )
    return rows.with_columns(_decided=_decided()).with_columns(
        _is_open=pl.col("_decided").is_null() & (pl.col("_cached") > 0),
        _is_apart=pl.col("_claimed").str.ends_with("apart"),
    )


def _with_thoughts() -> pl.Expr:
    """Return the reasoning, with what only the total counts where Google answers in OpenAI's form.

    There, Gemini's thoughts are billed as output and counted in the total, but nowhere else.
    """
    hidden = pl.col("total") - pl.col("input") - pl.col("output")
    is_silent = (pl.col("provider") == "google") & (pl.col("reasoning").fill_null(0) == 0)
    is_apart = (hidden > TOLERANCE) & ((hidden - pl.col("_cached")).abs() > TOLERANCE)
    found = is_silent & is_apart & (pl.col("convention") == "openai")
    return pl.when(found.fill_null(value=False)).then(hidden).otherwise("reasoning")


def _with_lifetimes(rows: pl.DataFrame) -> pl.DataFrame:
    """Give cache writes without a stated lifetime the lifetime of the prompt's markers.

    If the markers have several lifetimes, it stays unknown.
    """
    unstated = pl.col("unstated_writes").fill_null(0)
    asked = pl.when(unstated > 0).then("marker_ttl")
    if rows.select(asked.is_not_null().any()).item() is not True:
        return rows
    from_short = pl.min_horizontal(unstated, pl.col("cache_write_5m"))
    from_other = unstated - from_short
    moved = asked.is_not_null()
    return rows.with_columns(
        cache_write_5m=pl.when(asked == "5m")
        .then(pl.col("cache_write_5m") + from_other)
        .when(moved)
        .then(pl.col("cache_write_5m") - from_short)
        .otherwise("cache_write_5m"),
        cache_write_1h=pl.when(asked == "1h")
        .then(pl.col("cache_write_1h") + unstated)
        .otherwise("cache_write_1h"),
        cache_write_other=pl.when(asked.is_in(["5m", "1h"]))
        .then(pl.col("cache_write_other") - from_other)
        .when(moved)
        .then(pl.col("cache_write_other") + from_short)
        .otherwise("cache_write_other"),
        other_ttl=pl.when(moved & ~asked.is_in(["5m", "1h", MIXED]))
        .then(pl.coalesce("other_ttl", asked))
        .otherwise("other_ttl"),
    )


def _total_of(shape: Shape) -> pl.Expr:
    total = pl.col("input") + pl.col("output")
    if not shape.input_includes_cache:
        total = total + pl.col("_cached")
    return total if shape.output_includes_reasoning else total + pl.col("reasoning")


def _fits(name: str) -> pl.Expr:
    return ((pl.col("total") - _total_of(SHAPES[name])).abs() <= TOLERANCE).fill_null(False)


def _fitting() -> pl.Expr:
    """Return the shape that fits the total: the claimed one if possible, else the first."""
    fits_claim = pl.any_horizontal((pl.col("_claimed") == name) & _fits(name) for name in SHAPES)
    first = pl.coalesce(pl.when(_fits(name)).then(pl.lit(name)) for name in SHAPES)
    return pl.when(fits_claim).then(pl.col("_claimed")).otherwise(first)


def _decided() -> pl.Expr:
    impossible = pl.col("_cached") > pl.col("input")  # the input can't include cached tokens
    apart = pl.lit(", reasoning apart")
    is_within = ~pl.col("_claimed").str.ends_with("apart")
    beyond = is_within & (pl.col("reasoning") > pl.col("output"))  # output can't include reasoning
    exclusive = pl.col("_claimed").str.replace("inclusive", "exclusive")
    inclusive = pl.col("_claimed").str.replace("exclusive", "inclusive")
    return pl.when(pl.col("_matters")).then(
        pl.coalesce(
            pl.col("_fitting"),
            pl.when(beyond & impossible).then(pl.concat_str(exclusive, apart)),
            pl.when(beyond).then(pl.concat_str("_claimed", apart)),
            pl.when(impossible).then(exclusive),
            pl.when(_is_near()).then(inclusive),
            pl.when(pl.col("convention").is_in(CERTAIN)).then("_claimed"),
        )
    )


NEAR_SHARE = 0.05  # maximum share of the input that may be uncached, for `_is_near`


def _is_near() -> pl.Expr:
    """Return whether input exceeds the cached tokens so little that it must include them."""
    rest = pl.col("input") - pl.col("_cached")
    uncertain = ~pl.col("convention").is_in(CERTAIN)
    return uncertain & (pl.col("_cached") > 0) & rest.is_between(0, pl.col("input") * NEAR_SHARE)


FEWEST_COUNTED = 50  # tokens; shorter prompts are not used
NEAR = log(1.5)  # log of the largest ratio of billed and counted input for a shape to fit
CLEAR = log(1.4)  # how much larger this must be for the other shape
PLAUSIBLE = (0.5, 2.5)  # billed / counted input without caching, as far as tokenizers explain it


def tally(rows: pl.DataFrame) -> pl.DataFrame:
    """Count for each file, provider and model what its rows decide; `group_shapes` takes them.

    Tallies of parts of a log, concatenated, give the same result as the tally of the whole log.
    """
    return _tally(_prepared(rows))


def _tally(rows: pl.DataFrame) -> pl.DataFrame:
    is_counted = (pl.col("prompt_tokens") >= FEWEST_COUNTED) & pl.col("input").is_not_null()
    used = is_counted & (pl.col("_is_open") | (pl.col("_cached") == 0))
    return rows.group_by(*GROUP, "_decided", "_is_open", "_is_apart").agg(
        pl.len().cast(pl.Int64),
        *(pl.col(name).filter(used).sum() for name in ("input", "_cached", "prompt_tokens")),
    )


def group_shapes(tallies: pl.DataFrame) -> pl.DataFrame:
    """Return for each file, provider and model the shapes `_counted` and `_vote`.

    `_counted` is what the tokenizer shows for open calls, without how reasoning is counted, and
    `_vote` the most frequent decision.
    """
    votes = tallies.join(_counted(tallies), on=list(GROUP), how="left", nulls_equal=True)
    shape = _with_apart(pl.col("_counted"))
    return (
        votes.with_columns(_decided=pl.when("_is_open").then(shape).otherwise("_decided"))
        .group_by(*GROUP, "_counted", "_decided")
        .agg(pl.col("len").sum())
        .sort(pl.col("_decided").is_null(), "len", "_decided", descending=[False, True, False])
        .group_by(*GROUP)
        .agg(pl.col("_counted").first(), _vote=pl.col("_decided").first())
    )


def _counted(tallies: pl.DataFrame) -> pl.DataFrame:
    """Decide with the tokenizer whether a group's input includes cached tokens, if it has prompts.

    Calls without cached tokens show how the provider's tokenizer differs from ours. A shape fits
    if the ratio of billed to counted input is near 1; near 2, tokens are counted twice.
    """
    sums = ("input", "_cached", "prompt_tokens")
    groups = tallies.group_by(*GROUP, "_is_open").agg(pl.col(name).sum() for name in sums)
    usual = groups.filter(~pl.col("_is_open")).select(
        *GROUP, _usual=pl.col("input") / pl.col("prompt_tokens")
    )
    groups = groups.filter(pl.col("_is_open") & (pl.col("prompt_tokens") > 0))
    groups = groups.join(usual, on=list(GROUP), how="left", nulls_equal=True)
    expected = pl.when(pl.col("_usual").is_between(*PLAUSIBLE)).then("_usual").otherwise(1.0)
    counted_tokens = pl.col("prompt_tokens") * expected
    inclusive = (pl.col("input") / counted_tokens).log().abs()
    exclusive = ((pl.col("input") + pl.col("_cached")) / counted_tokens).log().abs()
    return groups.select(
        *GROUP,
        _counted=pl.when((inclusive <= NEAR) & (exclusive >= inclusive + CLEAR))
        .then(pl.lit("inclusive"))
        .when((exclusive <= NEAR) & (inclusive >= exclusive + CLEAR))
        .then(pl.lit("exclusive")),
    )


def _with_apart(shape: pl.Expr) -> pl.Expr:
    """Return a shape of the input with how the call claims to count reasoning."""
    return pl.concat_str(
        shape, pl.when("_is_apart").then(pl.lit(", reasoning apart")).otherwise(pl.lit(""))
    )


def _canonical(rows: pl.DataFrame) -> pl.DataFrame:
    inclusive = pl.col("_shape").str.starts_with("inclusive")
    apart = pl.col("_shape").str.ends_with("apart")
    known = pl.col("input").is_not_null() | pl.col("output").is_not_null()
    read = pl.col("cache_read").fill_null(0)
    sent = pl.col("input")
    read_kept = pl.when(inclusive).then(pl.min_horizontal(read, sent)).otherwise(read)
    rows = rows.with_columns(_read=read_kept, _left=sent - read_kept)
    columns: dict[str, pl.Expr] = {"cache_read_tokens": pl.col("_read")}
    left = pl.col("_left")
    for name in ("cache_write_5m", "cache_write_1h", "cache_write_other"):
        stated = pl.col(name).fill_null(0)
        taken = pl.when(inclusive).then(pl.min_horizontal(stated, left)).otherwise(stated)
        columns[f"{name}_tokens"] = taken
        left = left - taken
    nothing_made = (pl.col("kind") == "embedding") | (pl.col("status") == "error")
    output = pl.col("output").fill_null(pl.when(nothing_made.fill_null(value=False)).then(0))
    reasoning = pl.col("reasoning").fill_null(0)
    is_sent = pl.col("input").is_not_null()
    columns["input_uncached_tokens"] = pl.when(inclusive).then(left).otherwise(sent)
    columns = {name: pl.when(is_sent).then(column) for name, column in columns.items()}
    columns["output_tokens"] = pl.when(apart).then(output + reasoning).otherwise(output)
    columns["reasoning_tokens"] = (
        pl.when(apart).then(reasoning).otherwise(pl.min_horizontal(reasoning, output))
    )
    return rows.with_columns(
        **{name: pl.when(known).then(expression) for name, expression in columns.items()},
        cache_write_other_ttl=pl.when(pl.col("cache_write_other") > 0).then("other_ttl"),
        usage_convention=_label(known),
    )


def _label(known: pl.Expr) -> pl.Expr:
    differs = pl.col("_matters") & (pl.col("_shape") != pl.col("_claimed"))
    return pl.when(known).then(
        pl.concat_str(
            pl.col("convention"),
            pl.when(differs)
            .then(pl.concat_str(pl.lit(", counted as "), "_shape"))
            .otherwise(pl.lit("")),
            pl.when((pl.col("_cached") > 0) & pl.col("_vote").is_null())
            .then(pl.concat_str(pl.lit(", undecided, read as "), "_shape"))
            .otherwise(pl.lit("")),
            pl.when(pl.col("cache_read").is_null())
            .then(pl.lit(f", {NO_CACHE_DETAIL}"))
            .otherwise(pl.lit("")),
        )
    )
