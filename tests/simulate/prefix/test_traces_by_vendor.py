"""Twelve requests per further provider with token classes worked out by hand in comments."""

from typing import Any

from tests.simulate.prefix.traces import classes, part

Part = tuple[Any, ...]
DAY = 86_400.0


def system(tokens: int = 1500, marker: str | None = None) -> Part:
    return part("system", f"rules-{tokens}-", tokens, marker)


def user(number: int, tokens: int = 100, marker: str | None = None) -> Part:
    return part("user", f"q{number}-", tokens, marker)


def answer(number: int, tokens: int = 50) -> Part:
    return part("assistant", f"r{number}-", tokens)


def reads(rows: list[tuple[float, list[Part], dict[str, Any], int]]) -> list[tuple[int, ...]]:
    """Return the expected classes for a provider that doesn't charge for writes."""
    totals = [sum(tokens for _, _, tokens, *_ in parts) for _, parts, *_ in rows]
    return [(total - read, read, 0, 0, 0) for total, (*_, read) in zip(totals, rows, strict=True)]


def simulate(rows: list[tuple[Any, ...]], provider: str, model: str) -> list[tuple[int, ...]]:
    common = {"provider": provider, "model": model}
    return classes([(at, parts, {**common, **fields}) for at, parts, fields, *_ in rows])


def test_anthropic_one_hour_beside_five_minutes() -> None:
    def tools(marker: str = "1h") -> Part:
        return part("tools", "tool", 1200, marker)

    def rules(marker: str = "1h") -> Part:
        return part("system", "rule", 800, marker)  # ends at 2,000

    def brief(marker: str = "1h") -> Part:
        return part("system", "brief", 500, marker)  # ends at 1,700

    head, first = [tools(), rules()], [user(1), answer(1)]
    rows: list[tuple[Any, ...]] = [
        (0.0, [*head, user(1, 100, "5m")], {}),  # 2,000 for an hour, 100 for five minutes
        # Lookback from 2,250: the answer, then question 1 at 2,100, live until 300. Writes 150.
        (100.0, [*head, *first, user(2, 100, "5m")], {}),
        (450.0, [*head, user(3, 70, "5m")], {}),  # reads 2,000 (until 4,050), writes 70
        # 2,100 was last read and 2,250 written at 100: both gone at 400. Reads 2,000, now live
        # until 4,060, and writes 2,250 + 60 + 40 - 2,000 = 350.
        (460.0, [*head, *first, user(2), answer(2, 60), user(4, 40, "5m")], {}),
        (4059.0, [*head, user(5, 100, "5m")], {}),  # 4,059 < 4,060: reads 2,000, writes 100
        # Only the entry that is read is renewed: the tools alone were written at 0, gone at 3,600.
        # 1,200 + 900 for an hour.
        (4060.0, [tools(), part("system", "other", 900, "1h"), user(6)], {}),
        # The tools live until 7,660: reads 1,200. 1-hour marker at 1,700, 5-minute one at 1,800:
        # writes 500 and 100. The tools now live until 10,600.
        (7000.0, [tools(), brief(), user(7, 100, "5m")], {}),
        (7001.5, [tools(), brief("5m"), user(8)], {}),  # reads the 1-hour 1,700: until 10,601.5
        (7400.0, [tools(), brief("5m"), user(9)], {}),  # an hour, not 300 s: reads, until 11,000
        (11000.0, [tools(), brief(), user(10)], {}),  # both gone: 1,700 for an hour
        (11000.5, [tools(), brief(), user(11)], {}),  # unreadable before 11,001: writes again
        # Reads 1,700 and writes 100 + 50 + 100 for five minutes.
        (11010.0, [tools(), brief(), *first, user(12, 100, "5m")], {}),
    ]
    assert simulate(rows, "anthropic", "claude-sonnet-4-5") == [
        (0, 0, 100, 2000, 0),
        (0, 2100, 150, 0, 0),
        (0, 2000, 70, 0, 0),
        (0, 2000, 350, 0, 0),
        (0, 2000, 100, 0, 0),
        (100, 0, 0, 2100, 0),
        (0, 1200, 100, 500, 0),
        (100, 1700, 0, 0, 0),
        (100, 1700, 0, 0, 0),
        (100, 0, 0, 1700, 0),
        (100, 0, 0, 1700, 0),
        (0, 1700, 250, 0, 0),
    ]


def test_azure() -> None:
    s, wide = system(), system(4000)
    talk = [s, user(4), answer(1), user(5)]
    mini, older, newer = ({"model": name} for name in ("gpt-5.4", "gpt-5.5", "gpt-5.6-sol"))
    rows: list[tuple[Any, ...]] = [
        (0.0, [s, user(1)], {}, 0),  # cold
        (10.0, [s, user(2)], {}, 1408),  # 1,500 in common: 11 x 128
        (309.0, [s, user(3)], {}, 1408),  # in memory, used at 10, kept until 310
        (609.0, [s, user(4)], {}, 0),  # kept until 609: gone; 24h retention would have kept it
        (614.0, [s, user(4)], {}, 1536),  # 1,600 in common: 12 x 128
        (620.0, talk, {}, 1536),
        (630.0, [s, user(4)], mini, 0),  # another model's cache
        (931.0, [s, user(4)], mini, 0),  # GPT-5.4 keeps in memory by default: gone since 930
        (940.0, [wide, user(6)], older, 0),  # cold
        (2739.0, [wide, user(7)], older, 2048),  # 24h by default, typically 30 minutes: until 2,740
    ]
    found = simulate(rows, "azure", "gpt-4.1")
    assert found == reads(rows)
    paid: list[tuple[Any, ...]] = [
        (2750.0, [s, user(8)], newer),  # own marker at the end: writes 1,600
        (2760.0, [s, user(8), answer(2), user(9)], newer),  # reads 1,600, writes 50 + 100
    ]
    assert simulate(paid, "azure", "gpt-5.6-sol") == [(0, 0, 0, 0, 1600), (0, 1600, 0, 0, 150)]


def test_mistral() -> None:
    s, tiny = system(100), system(63)
    talk = [s, user(1, 50), answer(1, 42)]
    rows: list[tuple[Any, ...]] = [
        (0.0, [s, user(1, 50)], {}, 0),  # cold
        (10.0, [s, user(1, 50)], {}, 128),  # 150 in common: 2 x 64
        (20.0, [s, user(2, 50)], {}, 64),  # 100 in common: 1 x 64
        (30.0, [tiny, user(3, 40)], {}, 0),  # cold
        (40.0, [tiny, user(4, 40)], {}, 0),  # 63 < 64
        (50.0, [tiny, user(4, 40)], {}, 64),  # 103 in common
        (60.0, [*talk, user(5, 64)], {}, 128),  # 150 in common
        (70.0, [*talk, user(5, 64)], {}, 256),  # 100 + 50 + 42 + 64 = 4 x 64: all
        (369.0, [*talk, user(6, 64)], {}, 192),  # used at 70, kept until 370: 3 x 64
        (669.0, [s, user(1, 50)], {}, 0),  # used at 369, kept until 669: gone
        (669.5, [s, user(1, 50)], {}, 0),  # the answer above begins at 670
        (680.0, [s, user(1, 50)], {"model": "mistral-small-2603"}, 0),  # another model's cache
    ]
    assert simulate(rows, "mistral", "mistral-large-2512") == reads(rows)


def test_groq() -> None:
    s, tiny = system(), system(1023)
    talk = [s, user(2), answer(1)]
    llama = {"model": "llama-3.3-70b-versatile"}
    rows: list[tuple[Any, ...]] = [
        (0.0, [s, user(1)], {}, 0),  # cold
        (10.0, [s, user(2)], {}, 1500),
        (20.0, [*talk, user(3)], {}, 1600),
        (7219.0, [*talk, user(4)], {}, 1650),  # used at 20: kept for 2 hours, until 7,220
        (14419.0, [s, user(5)], {}, 0),  # used at 7,219: gone at 14,419
        (14419.5, [s, user(5)], {}, 0),  # the answer above begins at 14,420
        (14430.0, [s, user(5)], {}, 1600),  # all
        (14440.0, [s, user(5)], llama, 0),
        (14450.0, [s, user(5)], llama, 0),  # this model has no cache
        (14460.0, [tiny, user(7)], {}, 0),  # cold
        (14470.0, [tiny, user(8)], {}, 0),  # 1,023 < 1,024
        (14480.0, [s, user(5)], {"model": "openai/gpt-oss-20b"}, 0),  # another model's cache
    ]
    assert simulate(rows, "groq", "openai/gpt-oss-120b") == reads(rows)


def test_alibaba_explicit() -> None:
    def many(name: str, count: int) -> list[Part]:
        blocks = [part("user", f"{name}{i}-", 10) for i in range(count - 1)]
        return [system(), *blocks, part("user", f"{name}-last", 10, "5m")]

    s = system(1500, "5m")
    rows: list[tuple[Any, ...]] = [
        (0.0, [s, user(1)], {}),  # writes 1,500
        (1.5, [s, user(2)], {}),  # the answer has begun, but ends at 2.0: writes again
        (2.5, [s, user(3)], {}),  # reads, until 302.5
        (302.0, [s, user(4)], {}),  # reads, until 602
        (602.0, [s, user(5)], {}),  # gone: writes
        (610.0, [system(1023, "5m"), user(6)], {}),  # 1,023 < 1,024
        (620.0, many("m", 19), {}),  # the rules are 20 blocks back: reads, writes 19 x 10
        (630.0, many("n", 20), {}),  # the 21st: writes 1,500 + 20 x 10
        (640.0, [system(), user(7)], {}),  # no marker: the implicit cache is cold
        (650.0, [system(), user(8)], {}),  # now it has 1,500
        (660.0, [s, user(9)], {}),  # read at 620, so until 920: reads, until 960
        (670.0, [s, user(9, 100, "5m")], {}),  # reads 1,500, writes 100
    ]
    assert simulate(rows, "alibaba", "qwen-max") == [
        (100, 0, 1500, 0, 0),
        (100, 0, 1500, 0, 0),
        (100, 1500, 0, 0, 0),
        (100, 1500, 0, 0, 0),
        (100, 0, 1500, 0, 0),
        (1123, 0, 0, 0, 0),
        (0, 1500, 190, 0, 0),
        (0, 0, 1700, 0, 0),
        (1600, 0, 0, 0, 0),
        (100, 1500, 0, 0, 0),
        (100, 1500, 0, 0, 0),
        (0, 1500, 100, 0, 0),
    ]


def test_alibaba_implicit() -> None:
    march = -245 * DAY  # 2026-03-02, when 256 tokens were enough
    s, small, tiny = system(), system(256), system(255)
    rows: list[tuple[Any, ...]] = [
        (march, [small, user(1, 50)], {}, 0),  # cold
        (march + 10, [small, user(2, 50)], {}, 256),
        (march + 20, [tiny, user(3, 50)], {}, 0),  # cold
        (march + 30, [tiny, user(4, 50)], {}, 0),  # 255 < 256
        (0.0, [small, user(1, 50)], {}, 0),  # cold again
        (10.0, [small, user(1, 50)], {}, 0),  # 306 < 1,024
        (20.0, [s, user(5)], {}, 0),  # cold
        (30.0, [s, user(6)], {}, 1500),
        (30.5, [s, user(6)], {}, 1500),  # the answer to question 6 begins at 31
        (40.0, [s, user(6), answer(1), user(7)], {}, 1600),
        (340.0, [s, user(8)], {}, 0),  # used at 40, kept until 340: gone
        (350.0, [s, user(8)], {"model": "qwen-plus"}, 0),  # another model's cache
    ]
    assert simulate(rows, "alibaba", "qwen-max") == reads(rows)


def test_kimi() -> None:
    s = system()
    talk = [s, user(1), answer(1), user(3)]
    hour = {"input_uncached_tokens": 0, "cache_write_1h_tokens": 1600}
    rows: list[tuple[Any, ...]] = [
        (0.0, [s, user(1)], {}),  # writes all 1,600 for five minutes
        (10.0, [s, user(2)], {}),  # nothing was written at 1,500: writes 1,600
        (20.0, talk, {}),  # reads the 1,600, until 320; writes 50 + 100
        (319.0, [*talk, answer(2), user(4)], {}),  # 1,750, until 320: reads; writes 150
        (620.0, [*talk[:3], user(5)], {}),  # the 1,600 are gone: writes 1,750
        (630.0, [system(155), user(6)], {}),  # 255 < 256
        (640.0, [system(156), user(6)], {}),  # writes 256
        (650.0, [system(156), user(6)], {}),  # reads 256
        (660.0, [s, user(7, 100, "1h")], hour),  # writes 1,600 for an hour: until 4,260
        (4259.0, [s, user(7, 100, "1h")], hour),  # reads; renewed until 7,859
        (7858.0, [s, user(7), answer(3), user(8)], {}),  # reads 1,600; writes 150, five minutes
        (7860.0, [s, user(7)], {"model": "kimi-k2.5"}),  # no paid writes; cold
    ]
    assert simulate(rows, "moonshotai", "kimi-k3") == [
        (0, 0, 1600, 0, 0),
        (0, 0, 1600, 0, 0),
        (0, 1600, 150, 0, 0),
        (0, 1750, 150, 0, 0),
        (0, 0, 1750, 0, 0),
        (255, 0, 0, 0, 0),
        (0, 0, 256, 0, 0),
        (0, 256, 0, 0, 0),
        (0, 0, 0, 1600, 0),
        (0, 1600, 0, 0, 0),
        (0, 1600, 150, 0, 0),
        (1600, 0, 0, 0, 0),
    ]


def test_kimi_before_its_writes_were_paid_for() -> None:
    s = system()
    rows: list[tuple[Any, ...]] = [
        (-30 * DAY, [s, user(1)], {}, 0),  # 2026-10-03: cold
        (-30 * DAY + 10, [s, user(2)], {}, 1280),  # 1,500 in common: 5 x 256
    ]
    assert simulate(rows, "moonshotai", "kimi-k3") == reads(rows)


def test_kimi_on_bedrock_lives_thirty_minutes() -> None:
    s = system()
    rows: list[tuple[Any, ...]] = [
        (0.0, [s, user(1)], {}),  # writes 1,600 until 1,800
        (1799.0, [s, user(1), answer(1), user(2)], {}),  # reads them; writes 150
    ]
    found = simulate(rows, "aws", "global.moonshotai.kimi-k3")
    assert found == [(0, 0, 0, 0, 1600), (0, 1600, 0, 0, 150)]


def test_xai() -> None:
    s = system(300)
    talk = [s, user(2, 50), answer(1, 40)]
    edited = [s, user(9, 50), answer(1, 40)]
    newer = {"model": "grok-4.7"}
    rows: list[tuple[Any, ...]] = [
        (0.0, [s, user(1, 50)], {}, 0),  # cold
        (10.0, [s, user(2, 50)], {}, 256),  # 300, in units of 128
        (20.0, [*talk, user(3, 50)], {}, 256),  # 350
        (30.0, [*edited, user(3, 50)], {}, 256),  # an edited message breaks the rest
        (30.5, [*edited, user(3, 50)], {}, 256),  # the answer above begins at 31
        (40.0, [*edited, user(3, 50)], {}, 384),  # of 440
        (50.0, [user(9, 50), s], {}, 0),  # another order
        (339.0, [*edited, user(4, 50)], {}, 384),  # used at 40, kept until 340
        (639.0, [s, user(5, 50)], {}, 0),  # used at 339, kept until 639: gone
        (640.0, [s, user(5, 50)], newer, 0),  # another model's cache
        (650.0, [s, user(6, 50)], newer, 256),
        (655.0, [s, user(5, 50)], {}, 256),  # of 350, from 639
    ]
    assert simulate(rows, "x-ai", "grok-4.5") == reads(rows)


def test_bedrock_nova() -> None:
    s, hour = system(1500, "5m"), system(1500, "1h")
    rows: list[tuple[Any, ...]] = [
        (0.0, [s, user(1)], {}),  # writes 1,500, at the price of input
        (0.5, [s, user(2)], {}),  # the answer begins at 1.0: writes again
        (10.0, [s, user(3)], {}),  # reads, until 310
        (309.0, [s, user(4)], {}),  # reads, until 609
        (609.0, [s, user(5)], {}),  # gone: writes
        (620.0, [system(), user(6)], {}),  # no marker: no discount
        (630.0, [system(1023, "5m"), user(7, 1)], {}),  # 1,023 < 1,024
        (640.0, [system(1023, "5m"), user(7, 1, "5m")], {}),  # 1,024: writes all
        (650.0, [hour, user(8)], {}),  # reads the 1,500 of 609, until 950
        (950.0, [hour, user(9)], {}),  # gone; no 1-hour writes: writes for five minutes
        (960.0, [s, user(10)], {"is_batch": True}),  # no caching in batches
        (970.0, [s, user(11, 100, "5m")], {}),  # reads 1,500, writes 100
    ]
    assert simulate(rows, "aws", "amazon.nova-pro-v1:0") == [
        (100, 0, 1500, 0, 0),
        (100, 0, 1500, 0, 0),
        (100, 1500, 0, 0, 0),
        (100, 1500, 0, 0, 0),
        (100, 0, 1500, 0, 0),
        (1600, 0, 0, 0, 0),
        (1024, 0, 0, 0, 0),
        (0, 0, 1024, 0, 0),
        (100, 1500, 0, 0, 0),
        (100, 0, 1500, 0, 0),
        (1600, 0, 0, 0, 0),
        (0, 1500, 100, 0, 0),
    ]
