"""The plan of embedding: the planted number of questions, the price, the time, and what is said."""

import random
from decimal import Decimal
from pathlib import Path

import pytest

from costaudit.errors import UsageError
from costaudit.ingest.options import IngestOptions
from costaudit.pipeline.dry_run import dry_run
from tests.conftest import ROOT, installed
from tests.ingest.conftest import chat, write_lines

HOSTED = "openai:text-embedding-3-small"
RECORDS = 3_000


def write_log(path: Path, share: float) -> int:
    """Write calls of which this share asks something new; return how many questions differ."""
    rng = random.Random(1)
    asked = [
        f"Is part {n:06d} in stock?"
        if rng.random() < share
        else f"Question {rng.randrange(40):06d}?"
        for n in range(RECORDS)
    ]
    write_lines(path, [chat(n, question) for n, question in enumerate(asked)])
    return len(set(asked))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_the_planted_number_of_questions_is_in_the_range(tmp_path: Path, share: float) -> None:
    log = tmp_path / "log.jsonl"
    differ = write_log(log, share)
    _, plan = dry_run([str(log)], IngestOptions(), HOSTED, log.stat().st_size // 5)
    assert plan.texts and plan.tokens and plan.usd and plan.vector_bytes
    assert plan.tried_texts < plan.texts[0] <= differ <= plan.texts[1] <= RECORDS * 1.01
    assert plan.vector_bytes == pytest.approx([4 * 1536 * end for end in plan.texts])
    assert plan.usd == pytest.approx([end * float(plan.per_mtok or 0) / 1e6 for end in plan.tokens])
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_log_that_was_read_whole_is_counted_and_priced_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key, and so without a call."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    texts = ["Where is my parcel?", "When do you open?", "Where is my parcel?"]
    records = [chat(n, question) for n, question in enumerate(texts)]
    log = write_lines(tmp_path / "log.jsonl", [*records, chat(9, "A draft", tokens=(5, 0, 1))])
    reading, plan = dry_run([str(log)], IngestOptions(), HOSTED)
    assert reading.is_whole and reading.records == 4
    tokens = 5 + 5 + 2  # of cl100k_base, counted by its own tokenizer
    assert (plan.tried_questions, plan.tried_texts, plan.texts) == (4, 3, (3.0, 3.0))
    assert plan.tokens == pytest.approx((tokens, tokens))
    assert plan.per_mtok == Decimal("0.02")  # OpenAI's list price
    assert plan.usd == pytest.approx((tokens * 0.02e-6,) * 2)


def test_a_hosted_model_without_a_price_or_width_says_so(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [chat(1)])
    _, plan = dry_run([str(log)], IngestOptions(), "openai:no-such-model")
    assert (plan.usd, plan.vector_bytes, plan.seconds) == (None, None, None)
    assert "no known price" in plan.untold and plan.texts == (1.0, 1.0)
    for model in ("openai:text-embedding-3-small", "bedrock:amazon.titan-embed-text-v2:0"):
        _, plan = dry_run([str(log)], IngestOptions(), model)
        assert plan.usd is not None and plan.vector_bytes is not None


def test_a_local_model_is_timed_and_costs_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    differ = write_log(log, 0.3)
    _, plan = dry_run([str(log)], IngestOptions(), "minilm")
    assert plan.texts == (differ, differ) and plan.usd is None and not plan.untold
    assert plan.vector_bytes == (4 * 384 * differ,) * 2
    assert plan.seconds and 0 < plan.seconds[0] == plan.seconds[1]
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


OWN = """
class Mine:
    spec = None
    def token_counts(self, texts): raise AssertionError("called")
    def encode(self, texts): raise AssertionError("called")
"""


def test_what_can_t_be_tried_is_said(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [chat(1)])
    (tmp_path / "mine.py").write_text(OWN)
    own = f"{tmp_path / 'mine.py'}:Mine"
    _, plan = dry_run([str(log)], IngestOptions(), own)
    assert plan.texts == (1.0, 1.0) and "could cost money" in plan.untold
    _, plan = dry_run([str(log)], IngestOptions(), "no-such-org/no-such-model")
    assert plan.seconds is None and "can't be loaded" in plan.untold
    _, plan = dry_run([str(log)], IngestOptions(redact="hash"), "minilm")
    assert plan.texts is None and "no texts" in plan.untold
    with pytest.raises(UsageError, match="Unknown embedder"):
        dry_run([str(log)], IngestOptions(), "nonsense")


def test_a_log_without_questions_or_without_lines_says_what_can_t_be_told(tmp_path: Path) -> None:
    silent = [chat(n, "") for n in range(3)]
    write_lines(tmp_path / "log.jsonl", silent)
    said = installed("ingest", "log.jsonl", "--dry-run", cwd=tmp_path)
    assert said.code == 0, said.err
    assert "It can't be told how many texts are embedded. No record on trial asks" in said.out
    table = ROOT / "sample_logs" / "formats" / "litellm_spend.csv"
    said = installed("ingest", str(table), "--dry-run", cwd=tmp_path)
    untold = "It can't be told how many texts are embedded. Only files of plain lines are tried.\n"
    assert untold in said.out and "Not estimated" in said.out


def test_the_command_prints_ranges(tmp_path: Path) -> None:
    differ = write_log(tmp_path / "log.jsonl", 0.3)
    command = ("ingest", "log.jsonl", "--dry-run", "--embedder", HOSTED)
    said = installed(*command, cwd=tmp_path, environment={"OPENAI_API_KEY": ""})
    assert said.code == 0, said.err
    assert f"A cache could answer 3,000 questions, {differ:,} different." in said.out
    assert "at $0.02 per million" in said.out and "Nothing was sent." in said.out
    assert "MB of memory" in said.out
    assert said.out.endswith("Nothing was written.\n")
