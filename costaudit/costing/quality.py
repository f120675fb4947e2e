"""Describe what the log holds, and which questions it can't answer."""

from collections.abc import Iterable
from datetime import UTC, datetime

import polars as pl

from costaudit.contracts.audit import DataQuality
from costaudit.contracts.manifest import InputFile
from costaudit.contracts.requests import ANSWERED, NO_CACHE_DETAIL
from costaudit.contracts.run_dir import column

HOUR_DAYS = 1 / 24
_TIMED_OUT = (  # of failed calls
    pl.col("http_status").is_in([408, 499, 504]).fill_null(False)
    | pl.col("error").str.contains("(?i)time.?out").fill_null(False)
)
UNTIMED_DAYS = 30.0  # a log without times counts as one month


def data_quality(
    requests: pl.DataFrame,
    skips: pl.DataFrame,
    inputs: Iterable[InputFile],
    texts: pl.DataFrame,
    tokenizer: str,
    *,
    hashed: bool = False,
) -> DataQuality:
    """Return counts of what was read; `inputs` are the files of the manifest.

    texts: the status of each request, and whether the log has text of its prompt and its answer. A
    log without times counts as UNTIMED_DAYS, and a log shorter than an hour as an hour. If
    `hashed`, texts are absent on purpose.
    """
    kept, merged = len(requests), int((skips["fate"] == "merged").sum())
    first, last = column(requests, "ts").min(), column(requests, "ts").max()
    timed_share = _share(requests, pl.col("ts").is_not_null())
    return DataQuality(
        rows=kept + len(skips),
        kept=kept,
        merged=merged,
        skipped=len(skips) - merged,
        skip_reasons=_counts(skips.filter(pl.col("fate") == "skipped"), "reason"),
        files=_files(requests, skips, inputs),
        first_ts=_iso(first),
        last_ts=_iso(last),
        covered_days=covered_days(first, last),
        timed_share=timed_share,
        prompt_share=_share(texts, pl.col("prompt")),
        answer_share=_share(texts, pl.col("answer")),
        usage=_counts(requests, "usage_source"),
        conventions=_counts(requests, "usage_convention"),
        statuses=_counts(requests, "status"),
        tokenizer=tokenizer,
        cannot_tell=_cannot_tell(requests, texts, hashed=hashed),
        uncounted=_count(requests, ANSWERED & (pl.col("usage_source") == "missing")),
    )


def _count(requests: pl.DataFrame, holds: pl.Expr) -> int:
    return int(requests.select(holds.fill_null(False).sum()).item())


def _share(requests: pl.DataFrame, holds: pl.Expr) -> float:
    return float(requests.select(holds.fill_null(False).mean()).item() or 0.0)


def _counts(frame: pl.DataFrame, name: str) -> dict[str, int]:
    values = column(frame, name)
    if values.null_count() == len(values):
        return {"": len(values)} if len(values) else {}
    if not values.null_count() and (values == values[0]).all():
        return {str(values[0]): len(values)}
    counts = frame.group_by(pl.col(name).fill_null("")).len().sort(name)
    return dict(counts.iter_rows())


def _iso(at: object) -> str:
    return at.astimezone(UTC).isoformat() if isinstance(at, datetime) else ""


def covered_days(first: object, last: object) -> float:
    """Return the days from the first call to the last one, as `data_quality` counts them."""
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return UNTIMED_DAYS
    return max((last - first).total_seconds() / 86_400, HOUR_DAYS)


def _files(
    requests: pl.DataFrame, skips: pl.DataFrame, inputs: Iterable[InputFile]
) -> tuple[InputFile, ...]:
    kept = _counts(requests, "source_file")
    merged = _counts(skips.filter(pl.col("fate") == "merged"), "source_file")
    skipped = _counts(skips.filter(pl.col("fate") == "skipped"), "source_file")
    known = {entry.name: entry for entry in inputs}
    files = []
    for name in sorted({*known, *kept, *merged, *skipped}):
        entry = known.get(name)
        parts = (kept.get(name, 0), merged.get(name, 0), skipped.get(name, 0))
        source, evidence = (entry.source, entry.evidence) if entry else ("", "")
        size = entry.bytes if entry else 0
        files.append(InputFile(name, source, evidence, size, sum(parts), *parts))
    return tuple(files)


def _cannot_tell(requests: pl.DataFrame, texts: pl.DataFrame, *, hashed: bool) -> tuple[str, ...]:
    timed = _share(requests, pl.col("ts").is_not_null())
    prompts = _share(texts, pl.col("prompt"))
    answers = _share(texts.filter(pl.col("status") == "ok"), pl.col("answer"))
    said = [
        _missing(timed, "have no time", "their day, their order and what a TTL would do"),
        *(_OF_HASHES if hashed else _of_texts(prompts, answers)),
    ]
    usage = 1 - _share(requests, ANSWERED & (pl.col("usage_source") == "missing"))
    said.append(_missing(usage, "were answered without token counts", "what they cost"))
    exact = _share(requests, pl.col("usage_source") != "estimated")
    said.append(_missing(exact, "have estimated token counts", "their exact cost"))
    failed = (pl.col("status") == "error") & (pl.col("usage_source") == "missing")
    finished = 1 - _count(requests, failed & _TIMED_OUT) / max(len(requests), 1)
    said.append(
        _missing(
            finished, "timed out without token counts", "whether they were billed all the same"
        )
    )
    conventions = _counts(requests, "usage_convention").items()
    coarse = sum(count for name, count in conventions if NO_CACHE_DETAIL in name)
    told = 1 - coarse / max(len(requests), 1)
    said.append(_missing(told, "have no cache counts", "what the provider's cache read"))
    whole = 1 - _share(requests, pl.col("truncated"))
    said.append(_missing(whole, "were cut by the exporter", "the rest"))
    unknown = {
        "tenant": "which customer causes what cost, and whether answers would cross customers",
        "endpoint": "which route of the application causes what cost",
        "conversation": "which requests belong to one conversation",
        "latency_ms": "how long answers took, and so what a cache would save in time",
    }
    for name, question in unknown.items():
        if column(requests, name).null_count() == len(requests):
            said.append(f"No request names its {_FIELD[name]}: it can't be told {question}.")
    return tuple(sentence for sentence in said if sentence)


_OF_HASHES = (
    "The log was read with --redact hash: it can't be told which questions are similar, only which "
    "are identical.",
    "An identical question's answer that differs counts as wrong: it can't be told whether it "
    "only says the same in other words.",
)


def _of_texts(prompts: float, answers: float) -> tuple[str, str]:
    return (
        _missing(prompts, "have no prompt text", "which of them a cache could have answered"),
        _missing(
            answers,
            "that succeeded have no answer text",
            "whether a cached answer would have been right",
        ),
    )


_FIELD = {
    "tenant": "tenant",
    "endpoint": "endpoint",
    "conversation": "conversation",
    "latency_ms": "duration",
}


def _missing(share: float, what: str, question: str) -> str:
    if share >= 1:
        return ""
    if share == 0:
        return f"All requests {what}: it can't be told {question}."
    return f"{1 - share:.1%} of the requests {what}: it can't be told {question}."
