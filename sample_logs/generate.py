"""Write the sample logs and their ground truth again, byte for byte."""

import argparse
import csv
import gzip
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from sample_generator import agent_log, broken_log, chat_log

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


def chatbot() -> tuple[bytes, bytes]:
    """Return the chatbot's log lines and its truth as CSV."""
    encode = msgspec.json.Encoder().encode
    log, truth = bytearray(), []
    for line in chat_log.ChatLog().lines():
        log += encode(line.record) + b"\n"
        truth.append(line.truth)
    return bytes(log), as_csv(chat_log.TRUTH_COLUMNS, truth)


def agent() -> bytes:
    """Return the agent's log lines."""
    encode = msgspec.json.Encoder().encode
    return b"".join(encode(record) + b"\n" for record in agent_log.AgentLog().records())


def main() -> None:
    """Generate every file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the logs")
    parser.add_argument("--truth", type=Path, default=TRUTH, help="folder for the ground truth")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    options.truth.mkdir(parents=True, exist_ok=True)
    log, truth = chatbot()
    files = {
        options.out / "support_chatbot.jsonl.zst": compress_zstd(log),
        options.out / "agent_anthropic.jsonl.gz": compress_gzip(agent()),
        options.out / "broken.jsonl.gz": compress_gzip(broken_log.file_bytes()),
        options.truth / "support_chatbot_truth.csv.gz": compress_gzip(truth),
        options.truth / "broken_expected.csv": as_csv(broken_log.COLUMNS, broken_log.expected()),
    }
    for path, data in files.items():
        path.write_bytes(data)
        print(f"{path.name}: {len(data):,} bytes")


if __name__ == "__main__":
    main()
