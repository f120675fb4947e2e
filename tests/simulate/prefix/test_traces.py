"""Twelve requests per provider with token classes worked out by hand; comments show how."""

from typing import Any

import pytest

from tests.simulate.prefix.traces import Row, classes, part


def test_anthropic() -> None:
    def s(marker: str | None) -> tuple[Any, ...]:
        return part("system", "rule", 2000, marker)

    def u(number: int, tokens: int = 100, marker: str | None = None) -> tuple[Any, ...]:
        return part("user", f"q{number}-", tokens, marker)

    def a(number: int, tokens: int) -> tuple[Any, ...]:
        return part("assistant", f"r{number}-", tokens)

    talk = [s("1h"), u(1), a(1, 50), u(2)]
    rows = [
        (0.0, [s("5m"), u(11)], {}),  # writes the 2,000 up to the marker; 100 after it
        (0.5, [s("5m"), u(12)], {}),  # unreadable until the first answer begins at 1.0: writes
        (10.0, [s("5m"), u(13)], {}),  # reads 2,000, which then live until 310
        (309.0, [s("5m"), u(14)], {}),  # 309 < 310: reads, and lives until 609
        (609.0, [s("5m"), u(15)], {}),  # at 609 it is gone: writes, until 909
        (700.0, [s(None), u(16)], {}),  # no marker: no lookup, nothing cached
        (710.0, [part("system", "tiny", 900, "5m"), u(17)], {}),  # 900 < 1,024
        # Reads the 2,000 (live until 909, now 1,020). Marker at 2,000 + 100 + 50 + 100 = 2,250:
        # writes 250 for five minutes.
        (720.0, [*talk[:3], u(2, 100, "5m")], {}),
        # Lookback from the last message: itself, the answer, message 2 at 2,250: a hit. Writes
        # 60 + 40 = 100 more.
        (730.0, [*talk, a(2, 60), u(3, 40, "5m")], {}),
        # All entries ended by 1,030. One-hour marker at 2,000, five-minute marker at
        # 2,350 + 10 + 90 = 2,450: 2,000 for an hour and 450 for five minutes.
        (1100.0, [*talk, a(2, 60), u(3, 40), a(3, 10), u(4, 90, "5m")], {}),
        (4000.0, [s("1h"), u(18)], {}),  # 1,100 + 3,600 = 4,700 > 4,000: reads
        (4001.0, [s("1h"), u(19)], {"model": "claude-opus-4-8"}),  # another model's cache
    ]
    assert classes(rows) == [
        (100, 0, 2000, 0, 0),
        (100, 0, 2000, 0, 0),
        (100, 2000, 0, 0, 0),
        (100, 2000, 0, 0, 0),
        (100, 0, 2000, 0, 0),
        (2100, 0, 0, 0, 0),
        (1000, 0, 0, 0, 0),
        (0, 2000, 250, 0, 0),
        (0, 2250, 100, 0, 0),
        (0, 0, 450, 2000, 0),
        (100, 2000, 0, 0, 0),
        (100, 0, 0, 2000, 0),
    ]


def test_openai_5_6() -> None:
    def d(marker: str | None = None) -> tuple[Any, ...]:
        return part("system", "rule", 1500, marker)

    def u(number: int) -> tuple[Any, ...]:
        return part("user", f"q{number}-", 100)

    talk = [d(), u(1), part("assistant", "r1-", 50), u(3)]
    explicit = {"input_uncached_tokens": 100}
    model = {"provider": "openai", "model": "gpt-5.6-sol"}
    rows: list[Row] = [
        (0.0, [d(), u(1)], {}),  # the provider's marker at the end: writes all 1,600
        (10.0, [d(), u(2)], {}),  # no entry at 1,500: no read, writes 1,600
        (20.0, talk, {}),  # message 1 ended at 1,600, written at 0: reads; writes 50 + 100
        # Reads 1,750, writes 50 + 100.
        (30.0, [*talk, part("assistant", "r2-", 50), u(4)], {}),
        # The bill shows that only 1,500 were cached: explicit mode, marker after the rules.
        (40.0, [d("30m"), u(5)], {**explicit, "cache_write_other_tokens": 1500}),
        (50.0, [d("30m"), u(6)], {**explicit, "cache_read_tokens": 1500}),  # reads them
        # The provider's marker again; the first developer block's end is looked up: reads 1,500.
        (60.0, [d(), u(7)], {}),
        (1850.0, [d(), u(7)], {}),  # written at 60, 1,860 > 1,850: all 1,600 are read
        (1900.0, [d(), u(8)], {}),  # last read at 60: gone since 1,860; writes 1,600
        (1901.0, [part("system", "tiny", 800), u(9)], {}),  # 900 < 1,024
        (1902.0, [part("tools", "tool", 1024), d(), u(10)], {"ttft_ms": 2000.0}),  # writes 2,624
        (1903.0, [part("tools", "tool", 1024), d(), u(10)], {}),  # unreadable before 1,904
    ]
    found = classes([(at, parts, {**model, **fields}) for at, parts, fields in rows])
    assert found == [
        (0, 0, 0, 0, 1600),
        (0, 0, 0, 0, 1600),
        (0, 1600, 0, 0, 150),
        (0, 1750, 0, 0, 150),
        (100, 0, 0, 0, 1500),
        (100, 1500, 0, 0, 0),
        (0, 1500, 0, 0, 100),
        (0, 1600, 0, 0, 0),
        (0, 0, 0, 0, 1600),
        (900, 0, 0, 0, 0),
        (0, 0, 0, 0, 2624),
        (0, 0, 0, 0, 2624),
    ]


def test_openai_before_5_6() -> None:
    s = part("system", "rule", 1500)

    def u(number: int) -> tuple[Any, ...]:
        return part("user", f"q{number}-", 100)

    talk = [s, u(1), part("assistant", "r1-", 50), u(3)]
    longer = [*talk, part("assistant", "r2-", 50), u(4)]
    short = part("system", "tiny", 1023)
    three_quarters = "same words for long " * 75  # 1,500 characters
    long = ("system", three_quarters + "x" * 500, 2000)
    other = ("system", three_quarters + "y" * 500, 2000)
    rows = [
        (0.0, [s, u(1)], {}),  # cold
        (10.0, [s, u(2)], {}),  # 1,500 in common: 11 x 128 = 1,408
        (20.0, talk, {}),  # 1,600 in common: 12 x 128 = 1,536
        (30.0, longer, {}),  # 1,750 in common: 13 x 128 = 1,664
        (30.2, longer, {}),  # the answer above begins at 31: 1,750 again
        (330.0, [s, u(5)], {}),  # used at 30.2, kept until 330.2: 1,408
        (631.0, [s, u(5)], {}),  # kept until 630: nothing
        (640.0, [short, u(6)], {}),  # cold
        (650.0, [short, u(7)], {}),  # 1,023 < 1,024
        (660.0, [long], {}),  # cold
        (670.0, [other], {}),  # 1,500 of 2,000 characters, so 1,500 tokens: 1,408
        (680.0, [other], {"model": "gpt-4o-2024-05-13"}),  # this model has no cache
    ]
    model = {"provider": "openai", "model": "gpt-4o-mini"}
    found = classes([(at, parts, {**model, **fields}) for at, parts, fields in rows])
    reads = [0, 1408, 1536, 1664, 1664, 1408, 0, 0, 0, 0, 1408, 0]
    totals = [1600, 1600, 1750, 1900, 1900, 1600, 1600, 1123, 1123, 2000, 2000, 2000]
    assert found == [
        (total - read, read, 0, 0, 0) for total, read in zip(totals, reads, strict=True)
    ]


def test_bedrock() -> None:
    def s(marker: str | None = "1h") -> tuple[Any, ...]:
        return part("system", "rule", 5000, marker)

    def u(number: int, tokens: int = 100, marker: str | None = None) -> tuple[Any, ...]:
        return part("user", f"q{number}-", tokens, marker)

    haiku = {"model": "us.anthropic.claude-haiku-4-5-20251001-v1:0"}  # from 4,096 tokens on
    sonnet = {"model": "anthropic.claude-sonnet-4-6"}  # from 1,024 on, five minutes only
    rows: list[Row] = [
        (0.0, [s(), u(1)], haiku),  # writes 5,000 for an hour
        (5.0, [s(), u(2)], haiku),  # reads
        (5.0, [s(), u(2)], {**haiku, "is_batch": True}),  # no caching in batches
        (3604.0, [s(), u(3)], haiku),  # 5 + 3,600 = 3,605 > 3,604: reads
        (7205.0, [s(), u(3)], haiku),  # 7,204 < 7,205: writes
        (7210.0, [part("tools", "tool", 4000, "5m"), u(4)], haiku),  # 4,000 < 4,096
        (7220.0, [part("tools", "tool", 4000, "5m"), u(4, 96, "5m")], haiku),  # 4,096: writes all
        (7230.0, [part("tools", "tool", 4000, "5m"), u(4, 96, "5m")], haiku),  # reads all
        (7240.0, [s(), u(5)], sonnet),  # no 1-hour writes here: five minutes
        (7300.0, [s(), u(6)], sonnet),  # reads, until 7,600
        (7600.0, [s(), u(7)], sonnet),  # gone: writes
        (7610.0, [s(), u(7)], {**sonnet, "region": "eu-west-1"}),  # another region's cache: writes
    ]
    assert classes([(at, parts, {"provider": "aws", **f}) for at, parts, f in rows]) == [
        (100, 0, 0, 5000, 0),
        (100, 5000, 0, 0, 0),
        (5100, 0, 0, 0, 0),
        (100, 5000, 0, 0, 0),
        (100, 0, 0, 5000, 0),
        (4100, 0, 0, 0, 0),
        (0, 0, 4096, 0, 0),
        (0, 4096, 0, 0, 0),
        (100, 0, 5000, 0, 0),
        (100, 5000, 0, 0, 0),
        (100, 0, 5000, 0, 0),
        (100, 0, 5000, 0, 0),
    ]


def test_gemini() -> None:
    s, tiny = part("system", "rule", 5000), part("system", "tiny", 4095)

    def u(number: int, tokens: int = 100) -> tuple[Any, ...]:
        return part("user", f"q{number}-", tokens)

    pro = {"model": "gemini-2.5-pro"}  # from 4,096 tokens on; another page says 2,048
    flash = {"model": "gemini-3.6-flash"}  # from 4,096 on
    rows = [
        (0.0, [s, u(1)], pro, 0),  # cold
        (0.5, [s, u(2)], pro, 0),  # the first answer begins at 1.0
        (60.0, [s, u(3)], pro, 5000),
        (120.0, [s, u(3), part("assistant", "r", 50), u(4)], pro, 5100),
        (419.0, [s, u(3), part("assistant", "r", 50), u(5)], pro, 5150),  # 120 + 300 > 419
        (720.0, [s, u(6)], pro, 0),  # 719 < 720
        (725.0, [tiny, u(7)], pro, 0),  # cold
        (730.0, [tiny, u(8)], pro, 0),  # 4,095 < 4,096
        (735.0, [tiny, u(8)], pro, 4195),  # with the question 4,195
        (740.0, [part("system", "short", 3000), u(9)], flash, 0),  # cold
        (750.0, [part("system", "short", 3000), u(9)], flash, 0),  # 3,100 < 4,096
        (760.0, [s, u(9)], {"model": "gemini-2.5-pro", "region": "europe-west4"}, 0),  # cold there
    ]
    found = classes([(at, parts, {"provider": "google", **f}) for at, parts, f, _ in rows])
    assert [row[1] for row in found] == [read for *_, read in rows]


def test_deepseek() -> None:
    a = part("system", "rule", 640)

    def u(number: int, tokens: int = 128) -> tuple[Any, ...]:
        return part("user", f"q{number}-", tokens)

    rows = [
        (0.0, [a, u(1)], 0),  # cold; its end is persisted
        (10.0, [a, u(2)], 0),  # 640 in common, but no unit ends there until now
        (20.0, [a, u(3)], 640),  # the guide's third request
        (30.0, [a, u(1), part("assistant", "r", 64), u(4)], 768),  # the end of request 1
        (40.0, [a, u(1), part("assistant", "r", 64), u(5)], 768),  # diverges at 832: persisted
        (50.0, [a, u(1), part("assistant", "r", 64), u(6)], 832),
        (60.0, [a, u(1), part("assistant", "r", 64), u(6)], 960),  # all of it
        (7000.0, [a, u(7)], 640),
        (14199.0, [a, u(8)], 640),  # 7,000 + 7,200 = 14,200 > 14,199
        (21399.0, [a, u(9)], 0),  # gone
        (21400.0, [part("system", "tiny", 100), u(10, 50)], 0),  # cold
        (21410.0, [part("system", "tiny", 100), u(10, 50)], 128),  # 150, in units of 64
    ]
    model = {"provider": "deepseek", "model": "deepseek-chat"}
    found = classes([(at, parts, model) for at, parts, _ in rows])
    assert [row[1] for row in found] == [read for *_, read in rows]


@pytest.mark.parametrize("provider", ["cohere", "someone-new", ""])
def test_an_unknown_provider_caches_nothing(provider: str) -> None:
    found = classes([(at, [part("system", "rule", 9000)], {"provider": provider}) for at in (0, 9)])
    assert found == [(9000, 0, 0, 0, 0)] * 2
