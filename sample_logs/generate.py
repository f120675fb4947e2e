"""Write the sample logs, their ground truth and the README's tables again, byte for byte."""

import argparse
import csv
import gzip
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from sample_generator import summary
from sample_generator.agent_log import AgentLog
from sample_generator.broken_log import COLUMNS, expected, file_bytes
from sample_generator.chat_log import TRUTH_COLUMNS, ChatLog

HERE = Path(__file__).parent
TRUTH = HERE.parent / "tests" / "data"
ZSTD_LEVEL = 12
ZSTD_WINDOW_LOG = 25


def compress_zstd(data: bytes) -> bytes:
    """Compress with long-distance matching, which is what makes repeated prompts small."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        ZSTD_LEVEL,
        source_size=len(data),
        window_log=ZSTD_WINDOW_LOG,
        enable_ldm=True,
        write_content_size=True,
        write_checksum=True,
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


def compress_gzip(data: bytes) -> bytes:
    """Compress without a time stamp in the header."""
    return gzip.compress(data, compresslevel=9, mtime=0)


def as_csv(columns: list[str], rows: Iterable[dict[str, Any]]) -> bytes:
    """Write rows as CSV with Unix line ends."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_lines(records: Iterable[dict[str, Any]]) -> bytes:
    """Write records as JSON Lines."""
    encode = msgspec.json.Encoder().encode
    return b"".join(encode(record) + b"\n" for record in records)


def main() -> None:
    """Generate every file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the logs")
    parser.add_argument("--truth", type=Path, default=TRUTH, help="folder for the ground truth")
    options = parser.parse_args()
    lines = list(ChatLog().lines())
    chatbot, truth = [line.record for line in lines], [line.truth for line in lines]
    agent, fates = AgentLog().records(), expected()
    page = (HERE / "README.md").read_text(encoding="utf-8")
    for name, body in {
        "chatbot": summary.chatbot_totals(chatbot, truth),
        "endpoints": summary.chatbot_endpoints(chatbot),
        "agent": summary.agent_totals(agent),
        "broken": summary.broken_fates(fates),
    }.items():
        page = summary.between_markers(page, name, body)
    files = {
        options.out / "support_chatbot.jsonl.zst": compress_zstd(as_lines(chatbot)),
        options.out / "agent_anthropic.jsonl.gz": compress_gzip(as_lines(agent)),
        options.out / "broken.jsonl.gz": compress_gzip(file_bytes()),
        options.out / "README.md": page.encode(),
        options.truth / "support_chatbot_truth.csv.gz": compress_gzip(as_csv(TRUTH_COLUMNS, truth)),
        options.truth / "broken_expected.csv": as_csv(COLUMNS, fates),
    }
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        print(f"{path.name}: {len(data):,} bytes")


if __name__ == "__main__":
    main()
