"""Check the router's statistics on questions that a strong and a weak model answered.

Run `python benchmarks/bench_routing.py [DRAWS]`. The data are 8,318 questions from MMLU and GSM8K
with whether each model was right (RouteLLM, Apache-2.0), as strong_weak.jsonl.gz in
../shared/data/routing or in COSTAUDIT_ROUTING_DATA. Each draw labels a few hundred of them, fits a
rule, and compares its cross-validated loss with its loss on all of them.
"""

import gzip
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from costaudit.levers.router import Features, Labels, Mask, fitted, tested_rule

SAMPLE = 500
MOST_LOSS = 0.10  # allowed share of questions with a worse answer
WEAK_COST = 0.01  # cost of a call to the weak model, relative to the strong one
AT_LEAST = 0.93


def data() -> tuple[list[str], Mask, Mask]:
    """Return the questions, and whether the weak and the strong model were right."""
    usual = Path(__file__).parents[2] / "shared/data/routing/strong_weak.jsonl.gz"
    path = Path(os.environ.get("COSTAUDIT_ROUTING_DATA", usual))
    if not path.is_file():
        sys.exit(f"The data are not at {path}: name them with COSTAUDIT_ROUTING_DATA.")
    with gzip.open(path, "rb") as file:
        rows = [json.loads(line) for line in file]
    weak = np.array([row["weak_right"] for row in rows])
    return [row["prompt"] for row in rows], weak, np.array([row["strong_right"] for row in rows])


def coverage(texts: list[str], weak: Mask, strong: Mask, draws: int) -> None:
    """Print how often the interval covers the loss, and what the rules save and lose."""
    good = ~(strong & ~weak)
    features, gain = Features.of(texts), np.ones(len(texts))
    covered, above, sent, lost, accuracy, random = [], [], [], [], [], []
    for draw in range(draws):
        rows = np.random.default_rng(draw).choice(len(texts), SAMPLE, replace=False)
        labels = Labels(rows, good[rows], np.full(SAMPLE, len(texts) / SAMPLE))
        found = tested_rule(features, labels, gain, MOST_LOSS, draw)
        sends = found.rule.sends(features.rows)
        loss = float((sends & ~good).mean())
        covered.append(found.low <= loss <= found.high)
        above.append(loss > MOST_LOSS)
        sent.append(float(sends.mean()))
        lost.append(loss)
        accuracy.append(float(np.where(sends, weak, strong).mean()))
        random.append(strong.mean() + sends.mean() * (weak.mean() - strong.mean()))
    print(f"{draws} draws of {SAMPLE} labels, at most {MOST_LOSS:.0%} worse answers allowed:")
    print(f"  the interval covers the loss in {np.mean(covered):.1%} of the draws")
    print(f"  the loss is above what was allowed in {np.mean(above):.1%}")
    print(f"  sent to the weak model {np.mean(sent):.1%}, worse answers {np.mean(lost):.1%}")
    print(f"  accuracy {np.mean(accuracy):.4f}; the same share at random {np.mean(random):.4f}; "
          f"strong alone {strong.mean():.4f}, weak alone {weak.mean():.4f}")  # fmt: skip
    equal_quality(np.mean(accuracy), np.mean(sent), weak, strong)
    assert np.mean(covered) >= AT_LEAST or draws < 100


def equal_quality(accuracy: float, sent: float, weak: Mask, strong: Mask) -> None:
    """Print the cost compared with fixed choices, in calls to the strong model.

    These are the best fixed model that reaches the accuracy, and a random mix of both models.
    """
    cost = 1 - sent * (1 - WEAK_COST)
    share = (strong.mean() - accuracy) / (strong.mean() - weak.mean())
    coin = 1 - share * (1 - WEAK_COST)
    fixed = WEAK_COST if weak.mean() >= accuracy else 1.0
    print(f"  cost {cost:.3f} of the strong model's")
    print(f"  the best fixed model that is as accurate: {fixed:.3f}, {1 - cost / fixed:.1%} saved")
    print(f"  a coin between both models: {coin:.3f}, {1 - cost / coin:.1%} saved")


def prior(texts: list[str], weak: Mask, strong: Mask) -> None:
    """Print how a difficulty model trained on one half performs on the other half."""
    order = np.random.default_rng(1).permutation(len(texts))
    one, other = np.array_split(order, 2)
    good = ~(strong & ~weak)
    features = Features.of([texts[i] for i in one])
    model = fitted(features.rows, good[one], np.ones(len(one)))
    scores = model.scores(features.like([texts[i] for i in other]).rows)
    truth = good[other]
    rank = np.argsort(np.argsort(scores))
    ups = int(truth.sum())
    area = (rank[truth].sum() - ups * (ups - 1) / 2) / (ups * (len(truth) - ups))
    print(f"difficulty prior, {len(one):,} questions to train and {len(other):,} to report: "
          f"area under the curve {area:.3f}")  # fmt: skip
    for share in (0.2, 0.4, 0.6, 0.8):
        sends = scores >= np.quantile(scores, 1 - share)
        print(f"  {share:.0%} sent: {float((sends & ~truth).mean()):.1%} worse answers, at random "
              f"{share * float((~truth).mean()):.1%}")  # fmt: skip


def main(draws: int) -> None:
    """Print all results."""
    started = time.perf_counter()
    texts, weak, strong = data()
    prior(texts, weak, strong)
    coverage(texts, weak, strong, draws)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
