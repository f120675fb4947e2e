"""What mending one cause changes on the bill: small logs, token counts worked out by hand.

`saved` has the tokens that a template saves in each class instead of paying the uncached price;
additional reads and writes are negative.
"""

from typing import Any

from tests.simulate.prefix.small_logs import FAST, RULES, breaker, facts
from tests.simulate.traffic import Log

READ, WRITTEN, WRITTEN_1H = "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"


def sent(systems: list[str], gap: float, marker: str | None = "5m", **fields: Any) -> Log:
    """Send a question of 20 tokens below each system prompt of 3,000 tokens."""
    log = Log()
    for number, system in enumerate(systems):
        parts = [("system", system, 3000, marker), ("user", f"{number}: what now?", 20)]
        log.call(parts, number * gap, **FAST, **fields)
    return log


def saved(log: Log, kind: str) -> dict[str, int]:
    frame = breaker(facts(log), kind).saved
    assert set(frame["instead"]) <= {"input_uncached_tokens"} and set(frame["rate_id"]) <= {0}
    return dict(frame.select("paid", "tokens").iter_rows())


def test_markers_write_once_and_read_from_then_on() -> None:
    # Without markers, all input was uncached. With them, 3,000 are written once and read 19 times.
    assert saved(sent([RULES] * 20, 10.0, None), "no_markers") == {
        READ: -19 * 3000, WRITTEN: -3000,
    }  # fmt: skip


def test_an_hour_s_lifetime_outlives_the_pauses() -> None:
    # Each of five calls came too late and wrote 3,000. With an hour, one writes and four read.
    assert saved(sent([RULES] * 5, 400.0), "ttl_gap") == {
        READ: -4 * 3000, WRITTEN: 5 * 3000, WRITTEN_1H: -3000,
    }  # fmt: skip


def test_one_after_the_other_reads_what_the_first_wrote() -> None:
    # All ten started before the first answer and wrote 3,000 each.
    assert saved(sent([RULES] * 10, 0.001), "parallel") == {READ: -9 * 3000, WRITTEN: 9 * 3000}


def test_what_is_moved_is_paid_in_full_each_time() -> None:
    # Today each of 20 calls writes its 3,000 again. With the facts moved behind the rules, the
    # rest is written once and read 19 times.
    facts_of_each = [" ".join(f"fact{n}-{i}" for i in range(60)) for n in range(20)]
    log = sent([each + RULES for each in facts_of_each], 10.0)
    found = facts(log)
    stays = 3000 - (found.prompts.billed - found.mended.billed)
    assert (stays[1:] < 2900).all()  # the others are compared with the first text
    assert saved(log, "documents") == {
        READ: -int(stays[1:].sum()), WRITTEN: 20 * 3000 - int(stays[0]),
    }  # fmt: skip


def test_a_mend_that_costs_more_saves_nothing() -> None:
    # Two styles alternate before one document of 4,000 tokens. Each text is written once and then
    # read: 2 x 4,000 x 1.25 + 38 x 4,000 x 0.1 = 25,200 units of uncached input. Moving the
    # style, about 310 tokens, behind the document costs its full price in all 40 calls: more
    # than 1.25 x 3,690 + 39 x 3,690 x 0.1 + 40 x 310 = 31,400.
    document = " ".join(f"clause{number}" for number in range(1500))
    log = Log()
    for number in range(40):
        style = " ".join(f"{('brief', 'friendly')[number % 2]}{i}" for i in range(110))
        prompt = ("user", f"{style}\n{document}", 4000, "5m")
        log.call(
            [prompt, ("assistant", "ok", 5), ("user", f"q{number}", 10)], 10.0 * number, **FAST
        )
    found = facts(log)
    moved = found.prompts.billed - found.mended.billed
    assert not moved.any()  # the plan leaves the prompts as they are
    assert saved(log, "documents") == {}
