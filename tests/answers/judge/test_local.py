"""A cross-encoder on this machine judges pairs as its own outputs say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from costaudit.answers.judge.judge import JudgeItem, prompt_for, read_verdict, texts_of
from costaudit.answers.judge.local import PairModel
from costaudit.errors import BackendError, UsageError

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "is", "it", "open", "yes", "no", "the", "shop",
         "opens", "closes", "at", "nine", "ten")  # fmt: skip
LABELS = ("contradiction", "entailment", "neutral")


def saved(folder: Path, labels: tuple[str, ...], seed: int) -> Path:
    """Save a small model with random weights and the given labels."""
    torch.manual_seed(seed)
    inner = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, "[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    made: Any = PreTrainedTokenizerFast  # its call has no types
    tokenizer = made(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    )
    settings: dict[str, Any] = {
        "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 64,
        "initializer_range": 2.0, "id2label": dict(enumerate(labels)),
        "label2id": {name: k for k, name in enumerate(labels)},
    }  # fmt: skip
    config = BertConfig(**settings)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def outputs(folder: Path, pairs: list[tuple[str, str]]) -> np.ndarray:
    """Return the model's outputs for pairs, without the cross-encoder's code."""
    model: Any = BertForSequenceClassification.from_pretrained(folder)
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        read = tokenizer([a for a, _ in pairs], [b for _, b in pairs], return_tensors="pt",
                         padding=True)  # fmt: skip
        return np.asarray(model(**read).logits, np.float64)


ITEMS = [
    JudgeItem("is it open", logged, "is it open", cached)
    for logged in ("yes it opens at nine", "no the shop closes", "no")
    for cached in ("yes", "the shop opens at ten", "no the shop closes at nine")
]


def test_a_prompt_returns_its_texts() -> None:
    item = JudgeItem("a >>\n<<b", "line\n\nline", "x", "<<END>>\n")
    assert texts_of(prompt_for(item)) == (item.question, item.logged_answer, item.cached_answer)


@pytest.mark.slow
def test_entailment_against_contradiction_in_both_directions(tmp_path: Path) -> None:
    swapped = ("entailment", "contradiction", "neutral")  # turns every verdict around
    found = []
    for name, labels in (("one", LABELS), ("other", swapped)):
        folder = saved(tmp_path / name, labels, 5)
        judge, expected = PairModel(str(folder)), []
        for item in ITEMS:
            own, cached = (f"{item.question} {t}" for t in (item.logged_answer, item.cached_answer))
            out = outputs(folder, [(own, cached), (cached, own)])
            share = (np.exp(out) / np.exp(out).sum(axis=1, keepdims=True)).mean(axis=0)
            expected.append(
                share[labels.index("entailment")] > share[labels.index("contradiction")]
            )
        found.append([read_verdict(judge.ask("", prompt_for(one)).text).right for one in ITEMS])
        assert found[-1] == expected
    assert found[0] == [not right for right in found[1]]


@pytest.mark.slow
def test_one_score_counts_from_half_of_its_scale(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", ("score",), 3)
    judge = PairModel(str(folder))
    for item in ITEMS:
        own, cached = (f"{item.question} {t}" for t in (item.logged_answer, item.cached_answer))
        score = (1 / (1 + np.exp(-outputs(folder, [(own, cached), (cached, own)])))).mean()
        said = json.loads(judge.ask("", prompt_for(item)).text)
        assert said == {
            "verdict": "right" if score >= 0.5 else "wrong", "reason": f"score {score:.2f}"
        }  # fmt: skip


@pytest.mark.slow
def test_a_model_that_is_no_judge_says_so(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", ("card", "loan", "other"), 1)
    with pytest.raises(BackendError, match="its labels are card, loan, other"):
        PairModel(str(folder)).ask("", prompt_for(ITEMS[0]))


def test_a_judge_without_a_model_and_one_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="names no model"):
        PairModel("")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BackendError, match="can't be used"):
        PairModel(f"{tmp_path}/none").ask("", prompt_for(ITEMS[0]))
