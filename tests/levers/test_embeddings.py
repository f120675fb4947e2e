"""A text needs to be embedded once per model and tenant."""

from typing import Any

from costaudit.levers.effects import placed_segments
from costaudit.levers.embeddings import LEAST_REPEATS, repeated_embeddings
from tests.levers.logs import log, segment


def embedded(*texts: str, **more: Any) -> dict[str, Any]:
    parts = [segment(text, 100) for text in texts]
    return {"kind": "embedding", "model": "text-embedding-3-small", "segments": parts,
            "answer_kind": "missing", **more}  # fmt: skip


def test_each_text_after_its_first_time_is_cut_where_it_stands() -> None:
    requests = log(embedded("a", "b"), *[embedded("a")] * LEAST_REPEATS, embedded("c", "b"))
    lever = repeated_embeddings(requests, placed_segments(requests))
    assert lever is not None
    cuts = lever.effect["cuts"].to_list()
    assert cuts[0] is None
    assert cuts[1:-1] == [[{"start": 0, "tokens": 100}]] * LEAST_REPEATS
    assert cuts[-1] == [{"start": 100, "tokens": 100}]


def test_other_models_tenants_and_chats_have_nothing_to_do_with_it() -> None:
    rows = [embedded("a", model=f"m{i % 2}", tenant=f"t{i // 2 % 2}") for i in range(4)]
    chats = [{"segments": [segment("a", 100)]}] * LEAST_REPEATS
    requests = log(*rows, *chats)
    assert repeated_embeddings(requests, placed_segments(requests)) is None
