"""The cheap word embedding: its definition and its purpose."""

import numpy as np

from costaudit.embed.words import WordTable, word_vectors


def test_near_questions_are_nearer_than_others() -> None:
    texts = [
        "how do I reset my password",
        "please reset my password",
        "what is the exchange rate for euros",
        "which exchange rate do I get for dollars",
        "",
    ]
    vectors = word_vectors(texts)
    assert vectors.dtype == np.float32
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > max(similarity[0, 2], similarity[0, 3])
    assert similarity[2, 3] > max(similarity[2, 0], similarity[2, 1])
    np.testing.assert_allclose(np.diag(similarity)[:4], 1.0, rtol=1e-5)
    assert not vectors[4].any()


def test_the_order_of_words_makes_no_difference() -> None:
    one, two = word_vectors(["late parcel refund", "refund late parcel", "blue sky"])[:2]
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_words_come_without_special_tokens() -> None:
    table = WordTable()
    assert [len(ids) for ids in table.ids(["hello world", ""])] == [2, 0]
    assert table.vectors.shape == (30_522, 384)
