"""Topics of handmade and real questions."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from costaudit.simulate.semantic.topics.clusters import cluster_texts
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
    found = cluster_texts(TEXTS, VECTORS, usd)
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
    one = cluster_texts(TEXTS, VECTORS, usd)
    two = cluster_texts(TEXTS[back], VECTORS[back], usd)
    assert set(one.ids) == set(two.ids)
    assert one.ids[one.cluster[0]] == two.ids[two.cluster[4]]


def test_a_topic_keeps_its_id_when_another_question_joins_it() -> None:
    grown = pl.concat([TEXTS, pl.DataFrame({"text_id": ["0005"], "text": ["where is my box"]})])
    angles = np.append(ANGLES, 0.12)
    vectors = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    before = cluster_texts(TEXTS, VECTORS, np.ones(5))
    after = cluster_texts(grown, vectors, np.ones(6))
    assert set(before.ids) == set(after.ids)
    assert before.ids[before.cluster[0]] == after.ids[after.cluster[5]]


def test_there_are_as_many_topics_as_the_texts_hold() -> None:
    rng = np.random.default_rng(1)
    centres = np.linalg.qr(rng.normal(size=(64, 64)))[0][:7]
    for many in (2, 4, 7):
        truth = np.arange(140) % many
        vectors = centres[truth] + 0.05 * rng.normal(size=(140, 64))
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        texts = table([f"question {k}" for k in range(140)])
        found = cluster_texts(texts, vectors, np.ones(140))
        assert len(set(zip(found.cluster.tolist(), truth.tolist(), strict=True))) == many
        assert len(found.ids) == many


def test_names_leave_out_words_that_every_question_has() -> None:
    texts = table(["how can I reset the password", "cómo puedo cambiar la contraseña"])
    found = cluster_texts(texts, np.eye(2, dtype=np.float32), np.ones(2))
    assert sorted(found.labels) == ["cambiar, contraseña", "password, reset"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_texts_are_no_trouble(count: int) -> None:
    found = cluster_texts(TEXTS[:count], VECTORS[:count], np.ones(count))
    assert len(found.cluster) == count
    assert len(found.ids) == len(found.labels) == len(found.usd) <= count


def test_real_questions_fall_into_their_intents(tmp_path: Path) -> None:
    intents = ["lost_or_stolen_card", "exchange_rate", "age_limit", "change_pin", "country_support"]
    texts = pl.concat(questions().filter(intent=intent)[:30] for intent in intents)
    free = cluster_texts(texts, embedded(texts, tmp_path), np.ones(len(texts)))
    shares = texts.select("intent", cluster=pl.Series(free.cluster)).group_by("cluster")
    most = shares.agg(pl.col("intent").value_counts(sort=True).first().struct.field("count"))
    assert most["count"].sum() / len(texts) > 0.85  # 0.2 by chance
    assert len(free.ids) <= len(texts) / 2
