"""Where cache writes are asked for, as the log tells it or as a plan would have it."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.simulate.prefix.assigned import Assigned
from costaudit.simulate.prefix.prompts import Prompts
from costaudit.simulate.segments import MARKERS, Codes, Ints, any_in

CODES = {name: code for code, name in enumerate(MARKERS)}  # as in Segments.marker; 0 for none
TOLERANCE = 0.02  # of the prompt: counters and local token counts differ by as much


@dataclass(frozen=True)
class Markers:
    """A cache marker per segment, and where the provider sets one by itself."""

    code: Codes  # per segment, index into MARKERS
    own: Ints  # per request: segment of the provider's own marker; -1 for none
    inferred: NDArray[np.bool_]  # per request: read off the billed counters, not off the log


def logged_markers(requests: pl.DataFrame, prompts: Prompts, assigned: Assigned) -> Markers:
    """Take the markers that the log shows; infer them from the counters where it shows none."""
    from costaudit.simulate.prefix.marker_kernels import last_endings

    code = np.where(prompts.segments.marker > 0, prompts.segments.marker, 0).astype(np.int8)
    read = requests["cache_read_tokens"].fill_null(0).to_numpy()
    written = requests.select(
        pl.sum_horizontal("^cache_write_.*_tokens$").fill_null(0)
    ).to_series().to_numpy()  # fmt: skip
    cached = read + written
    marked = any_in(code > 0, prompts.segments.offsets)
    inferred = assigned.is_marked("explicit") & ~marked & (cached > 0) & prompts.sendable
    if inferred.any():
        _infer(requests, prompts, inferred, read, cached, code)
    own = last_endings(prompts.segments.offsets, prompts.segments.role)
    implicit = assigned.is_marked("implicit")
    kept_out = marked & _ends_before(prompts, own, cached)
    return Markers(code, np.where(implicit & ~kept_out, own, -1), inferred)


def _infer(
    requests: pl.DataFrame,
    prompts: Prompts,
    inferred: NDArray[np.bool_],
    read: Ints,
    cached: Ints,
    code: Codes,
) -> None:
    """Set markers where the counters say that prefixes end: after what was read, and written.

    A read that ends among the tools and system segments shows a marker which every request of
    the endpoint and model sets, the first one too.
    """
    from costaudit.simulate.prefix.marker_kernels import head_sizes, nearest_ends

    offsets = prompts.segments.offsets
    ends = prompts.segment_tokens
    landing = nearest_ends(offsets, ends, inferred & (read > 0), read)
    reach = nearest_ends(offsets, ends, inferred, cached)
    heads = head_sizes(offsets, prompts.segments.role)
    places = requests.select("endpoint", "provider", "model").with_columns(
        depth=pl.Series(np.where(landing >= 0, landing - offsets[:-1], -1)),
        head=pl.Series(heads),
        inferred=pl.Series(inferred),
        hour=pl.col("model").is_in(_hour_models(requests).implode()),
        reach=pl.Series(reach),
    )
    shown = pl.col("depth").filter(pl.col("depth").is_between(0, pl.col("head") - 1))
    groups = ["endpoint", "provider", "model"]
    places = places.with_columns(common=shown.mode().min().over(groups).fill_null(-1))
    lifetime = places["hour"].to_numpy()
    common = places["common"].to_numpy()
    everyone = inferred & (common >= 0) & (common < heads)
    for chosen, segment in (
        (everyone, offsets[:-1] + common),
        (inferred & (landing >= 0), landing),
        (inferred, reach),
    ):
        code[segment[chosen]] = np.where(lifetime[chosen], CODES["1h"], CODES["5m"])


def _hour_models(requests: pl.DataFrame) -> pl.Series:
    """List the models whose writes are for one hour more often than for five minutes."""
    written = requests.group_by("model").agg(
        pl.col("cache_write_5m_tokens").sum(), pl.col("cache_write_1h_tokens").sum()
    )
    longer = pl.col("cache_write_1h_tokens") > pl.col("cache_write_5m_tokens")
    return written.filter(longer)["model"]


def with_ttl(markers: Markers, ttl: Literal["5m", "1h"]) -> Markers:
    """Ask for one lifetime wherever a write is asked for."""
    return replace(markers, code=np.where(markers.code > 0, CODES[ttl], 0).astype(np.int8))


def _ends_before(prompts: Prompts, own: Ints, cached: Ints) -> NDArray[np.bool_]:
    """Tell whether what was cached ends before the provider's own marker would stand."""
    if not len(prompts.end):  # no prompt has a segment
        return np.zeros(len(cached), np.bool_)
    ends = np.where(own >= 0, prompts.tokens[prompts.end[np.maximum(own, 0)]], 0)
    return np.asarray(cached < (1 - TOLERANCE) * ends)
