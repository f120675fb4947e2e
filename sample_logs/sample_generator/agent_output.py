"""Invented output of the agent's tools: rows, logs, matches, code and test runs."""

import random
import re

TITLES = ["Kit", "Atlas", "Manta Nube", "Trail 40", "Lámpara Duna", "Cuaderno Mar", "Dock Seven"]
EVENTS = [
    *["feed_row_rejected", "price_rounded", "export_started", "export_merged", "lock_taken"],
    *["lock_released", "document_written", "translation_missing", "reservation_read"],
]
FOLDERS = ["feeds", "pricing", "stock", "publish", "quality"]
NAMES = [
    *["parse", "merge", "ladder", "promotions", "translations", "manifest", "rejects", "amounts"],
]
CODE = [
    "import re\n\nAMOUNT = re.compile(r'^\\d+(,\\d{1,2})?$')\n\n\n"
    "def parse_amount(text: str) -> int:\n"
    "    if not AMOUNT.match(text):\n        raise RowError('amount', text)\n"
    "    digits = text.replace(',', '.')\n    return int(Decimal(digits) * 100)\n",
    "def is_active(promotion: Promotion, moment: datetime) -> bool:\n    day = moment.date()\n"
    "    return promotion.first_day <= day < promotion.end_day\n\n\n"
    "def best(promotions: list[Promotion], cents: int) -> Promotion | None:\n"
    "    return min(promotions, key=lambda p: p.apply(cents), default=None)\n",
    "def merge_export(export: Export, lock: Lock) -> dict[str, int]:\n"
    "    reserved = read_reservations(export.warehouse)\n    with lock:\n"
    "        units = {row.sku: row.units for row in export.rows}\n"
    "        for sku, count in reserved.items():\n            units[sku] -= count\n"
    "    return units\n",
    "def same_title(product: Product) -> bool:\n    if product.title_en is None:\n"
    "        return False\n    return product.title_en.strip() == product.title_es.strip()\n",
    "@dataclass(frozen=True)\nclass FeedRow:\n    sku: str\n    title: str\n    category: str\n"
    "    cents: int | None  # gross price\n    units: int\n"
    "    line: int  # in the supplier's file\n",
    "def read_rows(path: Path) -> Iterator[FeedRow | Reject]:\n"
    "    with path.open(encoding='utf-8-sig', newline='') as file:\n"
    "        for number, row in enumerate(csv.DictReader(file, delimiter=';'), start=2):\n"
    "            try:\n                yield to_feed_row(row, number)\n"
    "            except RowError as error:\n                yield Reject(number, error.reason)\n",
]
CALL = re.compile(r"@(\w+)(?:\((\d+)\))?")


def _rows(count: int, rng: random.Random) -> str:
    lines = ["sku | value | units | moment"]
    for _ in range(count):
        sku = f"{rng.choice(['NV', 'CL', 'PX', 'LK'])}-{rng.randrange(10**6, 10**7)}"
        day, hour, minute = rng.randrange(1, 31), rng.randrange(24), rng.randrange(60)
        lines.append(
            f"{sku} | {rng.choice(TITLES)} | {rng.randrange(-3, 400)} | "
            f"2026-10-{day:02d} {hour:02d}:{minute:02d}"
        )
    return "\n".join([*lines, f"({count} rows)"])


def _log(count: int, rng: random.Random) -> str:
    return "\n".join(
        f"2026-10-{rng.randrange(1, 31):02d}T{rng.randrange(24):02d}:15:{rng.randrange(60):02d}Z "
        f"{rng.choice(EVENTS)} line={rng.randrange(2, 9000)} value={rng.randrange(1, 4)} "
        f"{rng.randrange(100, 999)},00 ms={rng.randrange(3, 9000)}"
        for _ in range(count)
    )


def _files(count: int, rng: random.Random) -> str:
    return "\n".join(
        f"{rng.choice(FOLDERS)}/{rng.choice(NAMES)}.py:{rng.randrange(1, 240)}: "
        f"{rng.choice(CODE).splitlines()[rng.randrange(3)].strip() or 'pass'}"
        for _ in range(count)
    )


def _code(rng: random.Random) -> str:
    text = "\n\n".join(rng.sample(CODE, rng.randrange(3, 6)))
    return "\n".join(f"{n:4d}  {line}" for n, line in enumerate(text.splitlines(), start=1))


def _tests(count: int, rng: random.Random) -> str:
    lines = [
        f"tests/{rng.choice(FOLDERS)}/test_{rng.choice(NAMES)}.py::test_{rng.choice(NAMES)}_"
        f"{rng.randrange(40)} PASSED"
        for _ in range(count)
    ]
    return "\n".join([*lines, f"{count} passed in {rng.uniform(0.4, 9.0):.2f}s"])


def invent(text: str, rng: random.Random) -> str:
    """Replace every @rows(n), @log(n), @files(n), @tests(n) and @code by invented output."""
    makers = {"rows": _rows, "log": _log, "files": _files, "tests": _tests}

    def _make(match: re.Match[str]) -> str:
        if match.group(1) == "code":
            return _code(rng)
        return makers[match.group(1)](int(match.group(2)), rng)

    return CALL.sub(_make, text)
