"""What an interrupted replay had put into its cache, from the journal."""

from collections.abc import Mapping
from dataclasses import dataclass

from costaudit.replay.by_log import Owners
from costaudit.replay.cache import Answer, CacheSettings
from costaudit.replay.journal import Acknowledged
from costaudit.replay.stream import ReplayStream


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was in the cache, or on its way there."""

    index: int
    answer: Answer
    ready_s: float
    since_s: float  # inserted, or renewed by the last hit


def kept_before(
    stream: ReplayStream, done: Mapping[int, Acknowledged], settings: CacheSettings
) -> list[Kept]:
    """List what misses had stored, in the order in which it became ready."""
    if settings.shadow:
        return []
    renewed: dict[str, float] = {}
    if settings.ttl_kind == "sliding":
        for index in sorted(done):
            matched_id = done[index].matched_id
            if matched_id is not None:
                renewed[matched_id] = float(stream.ts_s[index])
    owners = Owners(stream, settings.ttl_s)
    misses = [index for index in sorted(done) if done[index].result == "miss"]
    for index in misses:
        owners.claim(index)
    kept = []
    for index in misses:
        if settings.speed is not None or owners.holds(index):
            record = done[index]
            text = stream.answers[index] if record.answer is None else record.answer
            ready_s = float(stream.ready_s[index])
            started_s = float(stream.ts_s[index]) if settings.speed is None else ready_s
            since_s = max(started_s, renewed.get(stream.request_ids[index], started_s))
            answer = Answer(text, record.tokens, record.latency_ms or 0.0)
            kept.append(Kept(index, answer, ready_s, since_s))
    return sorted(kept, key=lambda item: (item.ready_s, item.index))
