"""Topics of handmade and real questions."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from costaudit.simulate.semantic.clusters import cluster_texts
from tests.simulate.semantic.banking import embedded, questions


def table(texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"text_id": [f"{i:04x}" for i in range(len(texts))], "text": texts})


TEXTS = table(
    ["where is my parcel", "track my parcel", "parcel late", "reset password", "password lost"]
)
ANGLES = np.array([0.0, 0.1, 0.2, 1.5, 1.6])
VECTORS = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)]).astype(np.float32)


def test_topics_are_ranked_by_money_and_named_by_their_terms() -> None:
    usd = np.array([1.0, 1.0, 1.0, 5.0, 5.0])
    found = cluster_texts(TEXTS, VECTORS, usd, count=2)
    assert found.cluster.tolist() == [1, 1, 1, 0, 0]
    assert found.usd.tolist() == [10.0, 3.0]
    assert found.labels[0].startswith("password")
    assert found.labels[1].startswith("parcel")
    assert found.medoid[1] == 1  # the middle of three angles
    # centre at .1: cosines of .1, 0, .1
    assert found.tightness[1] == pytest.approx((2 * np.cos(0.1) + 1) / 3, abs=1e-5)


def test_the_same_questions_have_the_same_id_in_any_order() -> None:
    usd = np.ones(5)
    back = [4, 3, 2, 1, 0]
    one = cluster_texts(TEXTS, VECTORS, usd, count=2)
    two = cluster_texts(TEXTS[back], VECTORS[back], usd, count=2)
    assert set(one.ids) == set(two.ids)
    assert one.ids[one.cluster[0]] == two.ids[two.cluster[4]]
    fewer = cluster_texts(TEXTS[:4], VECTORS[:4], usd[:4], count=2)
    assert one.ids[one.cluster[0]] in fewer.ids  # all its questions are still there
    assert one.ids[one.cluster[3]] not in fewer.ids


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_texts_are_no_trouble(count: int) -> None:
    found = cluster_texts(TEXTS[:count], VECTORS[:count], np.ones(count))
    assert len(found.cluster) == count
    assert len(found.ids) == len(found.labels) == len(found.usd) == min(count, 1)


def test_real_questions_fall_into_their_intents(tmp_path: Path) -> None:
    intents = ["lost_or_stolen_card", "exchange_rate", "age_limit", "change_pin", "country_support"]
    texts = pl.concat(questions().filter(intent=intent)[:30] for intent in intents)
    found = cluster_texts(texts, embedded(texts, tmp_path), np.ones(len(texts)), count=5)
    table = texts.select("intent", cluster=pl.Series(found.cluster)).group_by("cluster")
    largest = table.agg(pl.col("intent").value_counts(sort=True).first().struct.field("count"))
    assert len(found.ids) == 5
    assert largest["count"].sum() / len(texts) > 0.85  # 0.2 by chance
