"""A BERT encoder with mean pooling, built from torch's transformer layers."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def load_bert(path: Path, *, layers: int, heads: int, width: int, inner: int) -> "torch.nn.Module":
    """Load a Hugging Face BERT checkpoint as a module of (tokens (n, t), lengths (n,)).

    It returns the mean of the last layer over each row's tokens, float32 (n, width).
    """
    import torch
    from safetensors.torch import load_file

    weights = load_file(path)

    class Bert(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            embeddings = "embeddings.{}_embeddings.weight"
            self.words = weights[embeddings.format("word")]
            positions = weights[embeddings.format("position")]
            self.places = positions + weights[embeddings.format("token_type")][0]
            self.norm = torch.nn.LayerNorm(width, eps=1e-12)
            layer = torch.nn.TransformerEncoderLayer(
                width, heads, inner, 0.0, "gelu", 1e-12, batch_first=True
            )
            self.encoder = torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

        def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            padding = torch.arange(tokens.shape[1])[None, :] >= lengths[:, None]
            hidden = self.norm(self.words[tokens] + self.places[: tokens.shape[1]])
            if padding.any():
                hidden = self.encoder(hidden, src_key_padding_mask=padding)
                hidden = hidden.masked_fill(padding[..., None], 0.0)
            else:
                hidden = self.encoder(hidden)
            means: torch.Tensor = hidden.sum(1) / lengths[:, None]
            return means

    model = Bert()
    model.load_state_dict(_renamed(weights, layers))
    return model.eval()


def _renamed(weights: "dict[str, torch.Tensor]", layers: int) -> "dict[str, torch.Tensor]":
    import torch

    renamed = {
        "norm.weight": weights["embeddings.LayerNorm.weight"],
        "norm.bias": weights["embeddings.LayerNorm.bias"],
    }
    parts = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for layer in range(layers):
        old, new = f"encoder.layer.{layer}.", f"encoder.layers.{layer}."
        for kind in ("weight", "bias"):
            heads = [weights[f"{old}attention.self.{name}.{kind}"] for name in _ATTENTION]
            renamed[f"{new}self_attn.in_proj_{kind}"] = torch.cat(heads)
            for target, source in parts.items():
                renamed[f"{new}{target}.{kind}"] = weights[f"{old}{source}.{kind}"]
    return renamed


_ATTENTION = ("query", "key", "value")  # the order in which torch stacks them
