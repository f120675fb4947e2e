"""A cache's memory, added up by hand."""

from costaudit.contracts.policies import SemanticPolicy
from costaudit.costing.plans.sizing import size_cache


def test_memory_is_added_up_by_hand() -> None:
    policy = SemanticPolicy(min_similarity=0.9, eviction="lru")
    sizing = size_cache(policy, 1_000_000, 384, mean_text_bytes=60.4, mean_answer_bytes=900)
    # vectors 2 x 4 x 384 = 3,072; overheads 480 + 160; texts 960.4
    assert sizing.bytes_per_entry == 4_673
    assert sizing.total_bytes == 4_673_000_000
    # 4,673 MB x 1.25 = 5,841,250,000 B = 5,570.65 MiB, plus 64 MiB
    assert sizing.maxmemory_mib == 5_635
    assert sizing.maxmemory_policy == "allkeys-lru"
