"""Image tokens by size, worked out by hand, and how a prompt's tokens are then split."""

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.assembly.request_rows import beside_images
from costaudit.ingest.content.blocks import media
from costaudit.ingest.content.image_tokens import ImageSize, image_tokens, size_of
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.progress import SilentProgress
from tests.ingest.conftest import write_lines


def png(width: int, height: int) -> str:
    """Return a grey image as a data URL."""

    def chunk(name: bytes, data: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + end

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height, 9)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(file).decode()}"


@pytest.mark.parametrize(
    ("model", "width", "height", "detail", "tokens"),
    [
        ("claude-sonnet-4-5", 1000, 1000, "", 1334),  # 1,000,000 / 750
        ("eu.anthropic.claude-sonnet-4-5-v1:0", 200, 200, "", 54),
        ("claude-opus-4-5", 3000, 3000, "", 1600),  # the maximum
        ("gpt-4o", 1024, 1024, "", 765),  # 768 · 768: four tiles
        ("gpt-4o-2024-08-06", 2048, 4096, "high", 1105),  # 768 · 1,536: six tiles
        ("gpt-4o", 4096, 8192, "low", 85),
        ("gpt-4o-mini", 512, 512, "", 8500),  # 2,833 + 5,667
        ("o1", 512, 512, "", 225),
        ("gpt-5", 512, 512, "", 210),
        ("gpt-4.1-mini", 1024, 1024, "", 1659),  # 32 · 32 patches, times 1.62
        ("gpt-4.1-mini", 1800, 2400, "", 2353),  # 1,452 patches of 33 by 44
        ("gemini-2.5-flash", 384, 384, "", 258),
        ("models/gemini-2.5-flash", 960, 540, "", 516),
        ("gemini-3-pro", 960, 540, "", None),  # it has another rule
        ("gpt-6-astra", 960, 540, "", None),
        ("mistral-large", 960, 540, "", None),
    ],
)
def test_rules_by_hand(model: str, width: int, height: int, detail: str, tokens: int) -> None:
    assert image_tokens(model, ImageSize(width, height, detail)) == tokens


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"url": png(40, 30)}, ImageSize(40, 30, "")),
        ({"url": png(40, 30), "detail": "low"}, ImageSize(40, 30, "low")),
        ({"url": png(40, 30), "detail": "auto"}, ImageSize(40, 30, "")),
        (
            {"type": "input_image", "image_url": png(9, 8), "detail": "high"},
            ImageSize(9, 8, "high"),
        ),
        ({"format": "png", "source": {"bytes": png(7, 5).partition(",")[2]}}, ImageSize(7, 5, "")),
        ({"url": "https://example.com/x.png"}, None),
        ({"url": "data:image/png;base64," + "A" * 200}, None),
        ({"url": f"data:image/png;base64,{png(40, 30)[22:60]}" + "!" * 90}, None),
        ({"url": "data:application/pdf;base64," + "A" * 200}, None),
    ],
)
def test_sizes_are_read_from_the_head_of_the_file(value: Any, size: ImageSize | None) -> None:
    assert size_of(media("image", value).text) == size


def test_another_detail_is_another_block() -> None:
    asked = [{"url": png(40, 30), **more} for more in ({}, {"detail": "low"}, {"detail": "auto"})]
    default, low, auto = (media("image", value).text for value in asked)
    assert default == auto != low


def test_a_prompt_s_tokens_are_split_by_the_image_s_own_rule(tmp_path: Path) -> None:
    """765 tokens by size, or the 400 that the log states; the text gets the rest of the bill."""
    text = "word " * 765
    content = [
        {"type": "text", "text": text},
        {"type": "image_url", "image_url": {"url": png(1024, 1024)}},
    ]
    lines = []
    for number, details in enumerate(({}, {"prompt_tokens_details": {"image_tokens": 400}})):
        usage = {"prompt_tokens": 2_000, "completion_tokens": 1, "total_tokens": 2_001, **details}
        lines.append(
            {
                "id": f"c{number}",
                "created": 1_790_000_000 + number,
                "model": "gpt-4o",
                "messages": [{"role": "user", "content": content}],
                "choices": [{"message": {"role": "assistant", "content": "Yes."}}],
                "usage": usage,
            }
        )
    run = RunDir(tmp_path / "run")
    ingest([str(write_lines(tmp_path / "x.jsonl", lines))], run, IngestOptions(), SilentProgress())
    by_size, by_count = run.requests()["segments"].to_list()
    assert [part["kind"] for part in by_size] == ["text", "image"]
    assert [part["tokens"] for part in by_size] == [1_235, 765]
    assert [part["tokens"] for part in by_count] == [1_600, 400]


@pytest.mark.parametrize(
    ("model", "images"),
    [
        ("claude-sonnet-4-5", {(1000, 1000): 1_334, (200, 200): 54}),  # pixels / 750
        ("gpt-4o", {(1024, 1024): 765, (512, 512): 255}),  # 85 + four tiles or one of 170
    ],
)
@pytest.mark.parametrize("factor", [0.8, 1.0, 1.35])
def test_images_take_nothing_of_what_the_tokenizer_miscounts(
    model: str, images: dict[tuple[int, int], int], factor: float, tmp_path: Path
) -> None:
    """A text billed at `factor` times its count has the same tokens with and without images."""
    rules, question = "rule " * 999, "word " * 199
    counted = 1_000 + 200  # o200k_base tokens: each word and the last space
    billed = round(factor * counted)
    shown = [{"type": "image_url", "image_url": {"url": png(*size)}} for size in images]
    lines = []
    for number, more in enumerate(([], shown)):
        total = billed + (sum(images.values()) if more else 0)
        content = [{"type": "text", "text": question}, *more]
        lines.append(
            {
                "id": f"c{number}",
                "created": 1_790_000_000 + number,
                "model": model,
                "messages": [
                    {"role": "system", "content": rules},
                    {"role": "user", "content": content},
                ],
                "choices": [{"message": {"role": "assistant", "content": "Yes."}}],
                "usage": {"prompt_tokens": total, "completion_tokens": 1,
                          "total_tokens": total + 1},
            }
        )  # fmt: skip
    run = RunDir(tmp_path / "run")
    ingest([str(write_lines(tmp_path / "x.jsonl", lines))], run, IngestOptions(), SilentProgress())
    plain, beside = (
        [(part["kind"], part["tokens"]) for part in row]
        for row in run.requests()["segments"].to_list()
    )
    texts = [("text", round(factor * 1_000)), ("text", round(factor * 200))]
    assert plain == texts
    assert beside == [*texts, *(("image", tokens) for tokens in images.values())]


def test_images_that_leave_too_little_for_texts_are_scaled_with_them() -> None:
    """600 billed, 400 of text, 800 by size: the provider shrank the image or uses another rule."""
    fixed = np.array([False, True])
    split = beside_images(np.array([400, 800]), fixed, np.array([2]), np.array([600]))
    assert split.tolist() == [200, 400]
    only = beside_images(np.array([800]), np.array([True]), np.array([1]), np.array([600]))
    assert only.tolist() == [600]
