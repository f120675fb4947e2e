"""A compressor drops what its model scores least; long uncached texts suggest a trial."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

from costaudit.errors import BackendError, UsageError
from costaudit.levers.compression import LAST_WORDS, Compressor, large_images, long_prompts
from costaudit.levers.effects import placed_segments
from tests.levers.logs import log, segment

FILLER, CONTENT = ("well", "so", "just"), ("parcel", "broke", "refund")
WORDS = ("[PAD]", "[UNK]", *FILLER, *CONTENT)


def saved(folder: Path, labels: int = 2) -> Path:
    """Save a model without layers that keeps content and drops filler, by its weights."""
    inner = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, "[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    made: Any = PreTrainedTokenizerFast  # its call has no types
    made(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]",
         model_max_length=256).save_pretrained(folder)  # fmt: skip
    settings: dict[str, Any] = {
        "vocab_size": len(WORDS), "hidden_size": 2, "num_hidden_layers": 0,
        "num_attention_heads": 1, "intermediate_size": 2, "max_position_embeddings": 256,
        "num_labels": labels,
    }  # fmt: skip
    model = BertForTokenClassification(BertConfig(**settings))
    with torch.no_grad():
        inner_model = model.bert.embeddings
        for part in (inner_model.position_embeddings, inner_model.token_type_embeddings):
            part.weight.zero_()
        inner_model.word_embeddings.weight.copy_(
            torch.tensor([[1.0, -1.0] if word in CONTENT else [-1.0, 1.0] for word in WORDS])
        )
        if labels == 2:
            model.classifier.weight.copy_(torch.tensor([[-1.0, 1.0], [1.0, -1.0]]))
            model.classifier.bias.zero_()
    model.save_pretrained(folder)
    return folder


def test_filler_goes_first_and_numbers_and_the_question_stay(tmp_path: Path) -> None:
    compressor = Compressor(str(saved(tmp_path / "model")), keep=0.5)
    head = ("well parcel just broke " * 75).split()  # half of it filler
    head[9] = "4711"
    question = " ".join(f"well{i}" for i in range(LAST_WORDS))
    text = " ".join(head) + " " + question
    short = compressor.compressed(text)
    kept = [one for one in head if one not in FILLER]
    assert short.split() == [*kept, *question.split()]
    assert compressor.compressed(text) == short  # so a prefix stays the same


def test_a_short_text_is_left_as_it_is(tmp_path: Path) -> None:
    text = "well  so just parcel\n" * 30
    assert Compressor(str(tmp_path / "never loaded"), keep=0.1).compressed(text) == text


def test_a_model_that_can_not_compress_says_so(tmp_path: Path) -> None:
    text = "well parcel " * 200
    with pytest.raises(BackendError, match="can't be loaded"):
        Compressor(str(tmp_path / "nowhere"), 0.5).compressed(text)
    with pytest.raises(UsageError, match="3 labels"):
        Compressor(str(saved(tmp_path / "three", 3)), 0.5).compressed(text)


@pytest.mark.parametrize(
    ("tokens", "read", "worth"), [(1_500, 0, True), (1_500, 1_700, False), (800, 0, False)]
)
def test_long_texts_are_worth_a_trial_where_the_cache_does_not_read_them(
    tokens: int, read: int, worth: bool
) -> None:
    prompt = [segment("sys", 200, "system"), segment("page", tokens), segment("q", 20)]
    requests = log(*(
        {"segments": prompt, "input_uncached_tokens": 220 + tokens - read,
         "cache_read_tokens": read}
        for _ in range(100)
    ))  # fmt: skip
    found = long_prompts(requests, placed_segments(requests))
    assert (found is not None) is worth
    assert found is None or "compress=FOLDER" in found.test


@pytest.mark.parametrize(("tokens", "calls", "told"), [
    (765, 100, True), (85, 100, False), (765, 99, False),
])  # fmt: skip
def test_images_that_are_most_of_the_input_are_worth_a_trial(
    tokens: int, calls: int, told: bool
) -> None:
    prompt = [segment("sys", 200, "system"), segment("photo", tokens, kind="image")]
    requests = log(*({"segments": prompt} for _ in range(calls)))
    found = large_images(requests, placed_segments(requests))
    assert (found is not None) is told
    assert found is None or (found.requests, "79%" in found.why) == (100, True)  # 765 of 965
