"""Choose pairs worth reading: the worst hits, typical hits, and pairs that a guard refused."""

import re
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

from costaudit.answers.consistency import Consistency
from costaudit.answers.logged import Ints
from costaudit.answers.rates import Rated
from costaudit.contracts.semantic import PairEvidence

MARK_OPEN, MARK_CLOSE = "⟦", "⟧"  # around words that the other text lacks
_MOST_CHARS = 1200  # of a shown text
Rows = npt.NDArray[np.integer]
_TOKEN = re.compile(r"\w+|[^\w\s]|\s+")


def worst_pairs(check: Consistency, rated: Rated, rows: Rows, top: int) -> Rows:
    """Return up to `top` wrong hits among `rows` of the pairs, the most similar questions first.

    Each pair of questions is listed once. A stricter threshold can't avoid wrong hits whose
    questions look similar.
    """
    similarity = check.log.question_similarity(rated.pairs.asked[rows], rated.pairs.matched[rows])
    wrong = rated.right[rows] == 0
    order = np.lexsort((rows, rated.probability[rows], -similarity))
    return _distinct(check, rated, rows[order[wrong[order]]], top)


def typical_pairs(check: Consistency, rated: Rated, rows: Rows, top: int) -> Rows:
    """Return up to `top` reworded right hits whose similarity is nearest to their median."""
    log, pairs = check.log, rated.pairs
    other = log.question[pairs.asked[rows]] != log.question[pairs.matched[rows]]
    rows = rows[other & (rated.right[rows] == 1)]
    if not len(rows):
        return rows
    similarity = log.question_similarity(pairs.asked[rows], pairs.matched[rows])
    order = np.lexsort((rows, np.abs(similarity - np.median(similarity))))
    return _distinct(check, rated, rows[order], top)


def _distinct(check: Consistency, rated: Rated, rows: Rows, top: int) -> Rows:
    """Return the first row of each pair of questions, regardless of their order; at most `top`."""
    log, pairs = check.log, rated.pairs
    a, b = log.question[pairs.asked[rows]], log.question[pairs.matched[rows]]
    key = np.minimum(a, b).astype(np.int64) * max(len(log.questions), 1) + np.maximum(a, b)
    first = np.sort(np.unique(key, return_index=True)[1])
    return rows[first][:top]


def evidence(
    requests: pl.DataFrame,
    check: Consistency,
    asked: Ints,
    matched: Ints,
    right: npt.NDArray[np.int8],
    *,
    show_prompts: bool,
) -> tuple[PairEvidence, ...]:
    """Return pairs of requests as evidence; texts are shown only if `show_prompts` is set."""
    log = check.log
    verdicts = check.judge(asked, matched)
    similarity = log.question_similarity(asked, matched)
    write = marked if show_prompts else _described
    ids = requests["request_id"]
    out = []
    for row, (a, b) in enumerate(zip(asked.tolist(), matched.tolist(), strict=True)):
        question = write(log.questions[log.question[a]], log.questions[log.question[b]])
        texts = [log.answers[k] if k >= 0 else "" for k in log.answer[[a, b]].tolist()]
        answer = write(texts[0], texts[1])
        alike = float(verdicts.similarity[row])
        out.append(
            PairEvidence(
                request_id=ids[a],
                matched_id=ids[b],
                similarity=round(float(similarity[row]), 4),
                answer_similarity=None if np.isnan(alike) else round(alike, 4),
                right=None if right[row] < 0 else bool(right[row]),
                flags=verdicts.names(row),
                question=question[0],
                matched_question=question[1],
                answer=answer[0],
                matched_answer=answer[1],
            )
        )
    return tuple(out)


def marked(first: str, second: str) -> tuple[str, str]:
    """Return both texts, cut to a limit, with marks around words that the other one lacks."""
    first, second = (text[:_MOST_CHARS].translate(_UNMARKED) for text in (first, second))
    a, b = _TOKEN.findall(first), _TOKEN.findall(second)
    folded_a, folded_b = ([token.casefold() for token in tokens] for tokens in (a, b))
    changes = SequenceMatcher(None, folded_a, folded_b, autojunk=False).get_opcodes()
    runs: list[tuple[bool, str, str]] = []
    for change, a0, a1, b0, b1 in changes:
        one, other = "".join(a[a0:a1]), "".join(b[b0:b1])
        differs = change != "equal" or not one.strip()
        if runs and runs[-1][0] and differs:
            one, other = runs[-1][1] + one, runs.pop()[2] + other
        runs.append((differs, one, other))
    return (
        "".join(_mark(one, differs) for differs, one, _ in runs),
        "".join(_mark(other, differs) for differs, _, other in runs),
    )


_UNMARKED = {ord(MARK_OPEN): "[", ord(MARK_CLOSE): "]"}


def _mark(text: str, differs: bool) -> str:
    if not differs or not text.strip():
        return text
    body = text.strip()
    start = text.index(body)
    return f"{text[:start]}{MARK_OPEN}{body}{MARK_CLOSE}{text[start + len(body) :]}"


def _described(first: str, second: str) -> tuple[str, str]:
    """Return lengths and short digests, which show only whether texts are equal."""
    one, other = (
        f"{len(text)} chars #{xxhash.xxh3_64_hexdigest(text.encode())[:6]}"
        for text in (first, second)
    )
    return one, other
