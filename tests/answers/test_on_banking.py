"""The estimates on real questions with a real embedder, against the intents as truth."""

import os
import random
import re
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from costaudit.answers.consistency import Consistency
from costaudit.answers.kinds import TEXT
from costaudit.answers.logged import Logged
from costaudit.answers.rates import rates
from costaudit.answers.tally import Population
from costaudit.embed.minilm import MiniLM

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("COSTAUDIT_DATA", ROOT.parent / "shared" / "data")) / "banking77"
THRESHOLDS = np.arange(0.70, 0.951, 0.05)
INTENTS, QUESTIONS, ANSWERS, REQUESTS = 30, 12, 6, 2500


def embed(texts: list[str]) -> np.ndarray:
    model = MiniLM()
    order = np.argsort([len(text) for text in texts], kind="stable")
    out = np.zeros((len(texts), model.dimensions), np.float32)
    for part in np.array_split(order, max(1, len(texts) // 64)):
        out[part] = model.encode([texts[k] for k in part])
    return out


def served_by(vectors: np.ndarray, question: np.ndarray, threshold: float) -> np.ndarray:
    """Run a plain cache that serves the most similar stored text, and the newest one in a tie."""
    alike = vectors @ vectors.T
    entry: dict[int, int] = {}
    served = np.full(len(question), -1, np.int32)
    for place, text in enumerate(question.tolist()):
        if text not in entry and entry:
            held = list(entry)
            best = max(range(len(held)), key=lambda k: (alike[text, held[k]], k))
            if alike[text, held[best]] >= threshold:
                served[place] = entry[held[best]]
                continue
        if text in entry:
            served[place] = entry[text]
        else:
            entry[text] = place
    return served


@pytest.fixture(scope="module")
def stream() -> tuple[Logged, np.ndarray]:
    """A Zipf stream of requests, and the intent of each."""
    if not DATA.is_dir():
        pytest.skip("BANKING77 is not beside the repository; set COSTAUDIT_DATA to its folder")
    spec = tomllib.loads((ROOT / "benchmarks" / "banking77_answers.toml").read_text("utf-8"))
    table = pl.read_csv(DATA / "test.csv")
    draw = random.Random(1)
    names = draw.sample(sorted(spec["answers"]), INTENTS)
    questions, answers, intent = [], [], []
    for name in names:
        texts = table.filter(category=name)["text"].unique(maintain_order=True)
        questions += texts.to_list()[:QUESTIONS]
        intent += [name] * len(texts[:QUESTIONS])
        for _ in range(ANSWERS):
            parts = [draw.choice(spec[key]) for key in ("openers", "closers")]
            whole = parts[0] + draw.choice(spec["answers"][name]) + parts[1]
            answers.append(re.sub(r"\[([^]]*)]", lambda m: draw.choice(m[1].split("|")), whole))
    rng = np.random.default_rng(1)
    rank = 1 / np.arange(1, len(questions) + 1) ** 0.8
    question = rng.permutation(len(questions))[
        rng.choice(len(questions), REQUESTS, p=rank / rank.sum())
    ]
    topic = np.array([names.index(one) for one in intent])[question]
    distinct, first = np.unique(answers, return_inverse=True)
    answer = first[topic * ANSWERS + rng.integers(0, ANSWERS, REQUESTS)]
    vectors = embed([*questions, *distinct.tolist()])
    log = Logged(
        question=question.astype(np.int32),
        questions=tuple(questions),
        question_vectors=vectors[: len(questions)],
        scope=np.zeros(REQUESTS, np.int32),
        answer=answer.astype(np.int32),
        answers=tuple(distinct.tolist()),
        vector_row=np.arange(len(distinct), dtype=np.int32),
        vectors=vectors[len(questions) :],
        kind=np.full(REQUESTS, TEXT, np.int8),
        seconds=200.0 * np.arange(REQUESTS, dtype=np.float64),
    )
    return log, topic


def test_the_shares_lie_near_the_truth(stream: tuple[Logged, np.ndarray]) -> None:
    log, topic = stream
    served = np.stack([served_by(log.question_vectors, log.question, t) for t in THRESHOLDS])
    hit = served >= 0
    wrong = (hit & (topic != topic[np.maximum(served, 0)])).mean(axis=1)
    valid = hit.mean(axis=1) - wrong
    block = (np.arange(REQUESTS) // 30).astype(np.int32)
    rated = rates(Consistency(log), served, Population(np.ones(REQUESTS, bool), block))
    assert wrong[0] > 0.02  # there is something to find
    for point, right_share, wrong_share in zip(rated.points, valid, wrong, strict=True):
        good, bad = point.valid_hit_share, point.unsafe_served_share
        assert good is not None and bad is not None
        assert abs(good.value - right_share) < 0.02
        assert abs(bad.value - wrong_share) < 0.02
        assert bad.low is not None and bad.high is not None
        assert bad.low <= wrong_share <= bad.high
