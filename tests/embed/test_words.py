"""The cheap word embedding: its definition and its purpose."""

import numpy as np

from costaudit.embed.words import WordTable, WordVectors, word_vectors


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


HOSTILE = [
    "how do I reset my password",
    "Where is my parcel? It's late: parcel #12-34,56 \u20ac9.99",
    "two  spaces, a\ttab,\nlines\r\nand\u00a0others\u2003here ",
    " ",
    "",
    "na\u00efve caf\u00e9 \u0130stanbul \u00dcBER \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
    "a \u0308 mark after a space, e\u0301 and one \u0301\u0323 more",
    "\u8bf7\u95ee\u5305\u88f9 \u5728\u54ea\u91cc ok",
    "[MASK] [ MASK ] x[SEP]y [UNK]",
    "x" * 101 + " " + "y" * 100 + " " + "z" * 300,
    "\u0000\u200d\ufffd zero \ud55c\uad6d\uc5b4 \U0001f600\U0001f600 smile",
    '{"a":[1,2,{"b":null}],"c":"d e"}',
]


def test_vectors_are_the_weighted_means_of_all_words() -> None:
    """The definition in float64, with each text tokenized as a whole."""
    table = WordTable()
    rng = np.random.default_rng(0)
    texts = [*HOSTILE, *(" ".join(rng.permutation(HOSTILE)[:3]) for _ in range(40))]
    ids = table.ids(texts)
    counts = np.bincount(np.concatenate(ids).astype(np.int64), minlength=len(table.vectors))
    weight = 1e-3 / (1e-3 + counts / counts.sum())
    rows = table.vectors.astype(float) * weight[:, None]
    means = np.array([rows[one].mean(axis=0) if one else np.zeros(rows.shape[1]) for one in ids])
    common = np.linalg.eigh(means.T @ means)[1][:, -1]
    means -= np.outer(means @ common, common)
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(
        word_vectors(texts), means / np.where(norms > 0, norms, 1.0), atol=2e-5
    )


def test_rows_are_those_of_all_vectors() -> None:
    vectors = WordVectors(HOSTILE)
    whole = vectors[:]
    assert whole.shape == (len(vectors), 384) == (len(HOSTILE), 384)
    np.testing.assert_array_equal(vectors[np.array([7, 0, 7])], whole[[7, 0, 7]])
    np.testing.assert_array_equal(vectors[3:6], whole[3:6])


def test_long_texts_keep_their_own_words() -> None:
    """16 MB are split at once."""
    texts = ["late parcel " * 800_000, "blue sky", "late parcel " * 1_600_000, "parcel", "late sky"]
    there, back = word_vectors(texts), word_vectors(texts[::-1])[::-1]
    np.testing.assert_allclose(there, back, atol=1e-3)
    np.testing.assert_allclose(there[0], there[2], atol=1e-2)  # rounded four million times
