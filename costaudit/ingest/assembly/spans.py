"""Find parent spans that repeat the token counts of the calls inside them."""

import polars as pl

DEEPEST = 64  # maximum number of levels of spans to go up from a call


def find_parents(rows: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Find calls whose span contains a call with token counts; merge each into the first of these.

    `links` holds `span` and `within` of spans that are not calls: agents, chains or tools, in any
    file, may be between the two. Only calls of the same kind are merged: a chat doesn't repeat an
    embedding inside it.
    """
    if "span" not in rows.columns or "within" not in rows.columns:
        return _found([])
    own = pl.col("span").is_not_null()
    nodes = pl.concat(
        [
            rows.filter(own).select("span", "within", parent="at", parent_kind="kind"),
            links.select(
                "span", "within", parent=pl.lit(None, pl.Int64), parent_kind=pl.lit(None, pl.String)
            ),
        ]
    ).unique("span", keep="first", maintain_order=True)
    rising = rows.filter(
        (pl.col("_worth") > 0) & (pl.col("status") == "ok") & pl.col("within").is_not_null()
    ).select("at", "kind", up="within")
    found: list[pl.DataFrame] = []
    circles: set[int] = set()  # calls that contain themselves, in a broken log
    for _ in range(DEEPEST):
        if rising.is_empty():
            break
        rising = rising.join(nodes, left_on="up", right_on="span", how="inner")
        circles |= set(rising.filter(pl.col("parent") == pl.col("at"))["at"])
        same = (pl.col("parent_kind") == pl.col("kind")) & (pl.col("parent") != pl.col("at"))
        found.append(rising.filter(same).select(at="parent", _into="at"))
        rising = rising.filter(pl.col("within").is_not_null()).select("at", "kind", up="within")
    return _found(found).filter(~pl.col("at").is_in(list(circles)))


def _found(parts: list[pl.DataFrame]) -> pl.DataFrame:
    empty = pl.DataFrame(schema={"at": pl.Int64, "_into": pl.Int64})
    return (
        pl.concat([empty, *parts])
        .group_by("at", maintain_order=True)
        .agg(pl.col("_into").min())
        .with_columns(_reason=pl.lit("parent-span"))
        .sort("at")
    )
