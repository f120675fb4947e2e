"""Find the prompt templates of each endpoint, and sample requests of each template."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from costaudit.contracts.requests import INPUT_CLASSES, SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.contracts.run_dir import column
from costaudit.contracts.spend import EndpointSpend, SampleRequest, Spend, SpendRow, TemplateSpend
from costaudit.costing.groups.codes import coded
from costaudit.costing.spend import Whole, spend_of
from costaudit.pipeline.loaded import Loaded
from costaudit.simulate.segments import numbered

ENDPOINTS, TEMPLATES = 10, 5  # how many are kept, the most expensive first
_MARK = "\x1f"  # between the parts of a group's name


def drilled(log: Loaded, template: np.ndarray, names: tuple[str, ...]) -> Spend:
    """Return the spend of a log with its endpoints' templates and a sample of their requests.

    `template` is an index into `names` for each request; -1 if its prompt is unknown.
    """
    sent = log.requests.select(pl.exclude("segments", "answer_id")).with_columns(
        endpoint=pl.col("endpoint").fill_null(""),
        usd=pl.Series(log.sent_usd),
        size=pl.sum_horizontal(pl.col(TOKEN_CLASSES).fill_null(0)),
        pair=_pairs(log.keyed, template, names),
        row=pl.int_range(pl.len(), dtype=pl.Int64),
    )
    sent = _only(sent, SENT_TO_PROVIDER)
    pairs = sent.group_by("endpoint", "pair").agg(pl.col("usd").sum())
    dearest = (
        pairs.filter(pl.col("endpoint").is_in(_endpoints_kept(log.spend)))
        .sort("usd", "pair", descending=[True, False])
        .group_by("endpoint", maintain_order=True)
        .head(TEMPLATES)
    )
    sent = _only(sent, pl.col("pair").is_in(dearest["pair"].to_list()))
    found = _spent(log, sent, "pair")
    chosen = _examples(sent)
    usd = {row.group: row for row in _spent(log, chosen, "request_id")}
    samples: dict[str, list[SampleRequest]] = {}
    for row in chosen.iter_rows(named=True):
        samples.setdefault(row["pair"], []).append(_sample(row, usd))
    counts = dict(pairs.group_by("endpoint").len().iter_rows())
    return replace(log.spend, drill=tuple(_endpoints(log.spend, found, samples, counts)))


def _pairs(keyed: pl.DataFrame, template: np.ndarray, names: tuple[str, ...]) -> pl.Series:
    """Return each request's endpoint, template and model as one name, an enumeration."""
    endpoints, models = (coded(column(keyed, name)) for name in ("endpoint", "model"))
    codes = {"endpoint": endpoints.code, "template": template, "model": models.code}
    kinds, kind = numbered(pl.DataFrame(codes))
    named = [
        _MARK.join((endpoints.names[at], (*names, "")[of], models.names[by].replace(_MARK, "")))
        for at, of, by in kinds.iter_rows()
    ]
    return pl.Series(named, dtype=pl.Enum(sorted(set(named)))).gather(kind)


def _only(requests: pl.DataFrame, holds: pl.Expr) -> pl.DataFrame:
    """Return the requests that meet a condition; all of them are not copied."""
    kept = requests.select(holds).to_series()
    return requests if kept.all() else requests.filter(kept)


def _endpoints_kept(whole: Spend) -> list[str]:
    return [row.group for row in whole.by.get("endpoint", ())[:ENDPOINTS]]


def _spent(log: Loaded, sent: pl.DataFrame, name: str) -> tuple[SpendRow, ...]:
    """Return what calls cost by a column, at the prices of the whole log."""
    if sent.is_empty():
        return ()
    whole = Whole(log.priced, sent["row"].to_numpy())
    return spend_of(whole, {name: sent[name]}).by[name]


def _examples(sent: pl.DataFrame) -> pl.DataFrame:
    """Return the longest, the median and the shortest request of each template."""
    rank = pl.col("size").rank("ordinal", descending=True).over("pair")
    number = pl.len().over("pair")
    return sent.filter((rank == 1) | (rank == (number + 1) // 2) | (rank == number)).sort(
        "pair", "size", "request_id", descending=[False, True, False]
    )


def _sample(row: dict[str, object], usd: Mapping[str, SpendRow]) -> SampleRequest:
    at, latency = row["ts"], row["latency_ms"]
    cost = usd[str(row["request_id"])].cost
    return SampleRequest(
        request_id=str(row["request_id"]),
        at=at.isoformat(timespec="seconds") if isinstance(at, datetime) else "",
        input_tokens=sum(int(str(row[name] or 0)) for name in INPUT_CLASSES),
        output_tokens=int(str(row["output_tokens"] or 0)),
        usd=cost.total_usd,
        latency_ms=float(str(latency)) if latency is not None else None,
        status="error" if row["status"] == "error" else "ok",
        unpriced=bool(cost.unpriced),
    )


def _endpoints(
    whole: Spend,
    found: tuple[SpendRow, ...],
    samples: Mapping[str, list[SampleRequest]],
    templates: Mapping[str, int],
) -> list[EndpointSpend]:
    below: dict[str, list[SpendRow]] = {}
    for row in found:
        below.setdefault(row.group.rsplit(_MARK, 2)[0], []).append(row)
    return [
        EndpointSpend(
            endpoint=one.group,
            requests=one.cost.requests,
            usd=one.cost.total_usd,
            share=one.share,
            failed=one.failed,
            latency_p50_ms=one.latency_p50_ms,
            latency_p95_ms=one.latency_p95_ms,
            templates=tuple(
                _template(row, one, samples.get(row.group, ())) for row in below.get(one.group, ())
            ),
            all_templates=templates.get(one.group, 0),
            unpriced=bool(one.cost.unpriced),
        )
        for one in whole.by.get("endpoint", ())[:ENDPOINTS]
    ]


def _template(
    row: SpendRow, endpoint: SpendRow, samples: "list[SampleRequest] | tuple[()]"
) -> TemplateSpend:
    _, template_id, model = row.group.rsplit(_MARK, 2)
    whole = endpoint.cost.total_usd
    return TemplateSpend(
        template_id=template_id,
        model=model,
        requests=row.cost.requests,
        usd=row.cost.total_usd,
        share=float(row.cost.total_usd / whole) if whole else 0.0,
        failed=row.failed,
        samples=tuple(samples),
        unpriced=bool(row.cost.unpriced),
    )
