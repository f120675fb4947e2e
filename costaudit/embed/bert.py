"""A BERT encoder with mean pooling, in torch."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def load_bert(path: Path, *, layers: int, heads: int, width: int, inner: int) -> "torch.nn.Module":
    """Load a Hugging Face BERT checkpoint as a module of (tokens (n, t), lengths (n,)).

    It returns the mean of the last layer over each row's tokens, float32 (n, width). Its layers are
    spelled out: torch's own take a short cut on accelerators that approximates GELU.
    """
    import torch
    from safetensors.torch import load_file
    from torch.nn import functional

    weights = load_file(path)

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = torch.nn.Linear(width, 3 * width)
            self.mix = torch.nn.Linear(width, width)
            self.norm = torch.nn.LayerNorm(width, eps=1e-12)
            self.widen = torch.nn.Linear(width, inner)
            self.narrow = torch.nn.Linear(inner, width)
            self.last_norm = torch.nn.LayerNorm(width, eps=1e-12)

        def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            rows, tokens, _ = hidden.shape
            apart = self.attend(hidden).view(rows, tokens, 3, heads, width // heads)
            query, key, value = apart.permute(2, 0, 3, 1, 4).unbind(0)
            seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            hidden = self.norm(hidden + self.mix(seen.transpose(1, 2).reshape(hidden.shape)))
            inside = functional.gelu(self.widen(hidden))
            narrowed: torch.Tensor = self.last_norm(hidden + self.narrow(inside))
            return narrowed

    class Bert(torch.nn.Module):
        words: torch.Tensor
        places: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            embeddings = "embeddings.{}_embeddings.weight"
            positions = weights[embeddings.format("position")]
            positions = positions + weights[embeddings.format("token_type")][0]
            self.register_buffer("words", weights[embeddings.format("word")], persistent=False)
            self.register_buffer("places", positions, persistent=False)
            self.norm = torch.nn.LayerNorm(width, eps=1e-12)
            self.layers = torch.nn.ModuleList(Layer() for _ in range(layers))

        def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            places = torch.arange(tokens.shape[1], device=tokens.device)
            inside = places[None, :] < lengths[:, None]
            hidden = self.norm(self.words[tokens] + self.places[: tokens.shape[1]])
            for layer in self.layers:
                hidden = layer(hidden, inside[:, None, None, :])
            means: torch.Tensor = (hidden * inside[..., None]).sum(1) / lengths[:, None]
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
        "mix": "attention.output.dense",
        "norm": "attention.output.LayerNorm",
        "widen": "intermediate.dense",
        "narrow": "output.dense",
        "last_norm": "output.LayerNorm",
    }
    for layer in range(layers):
        old, new = f"encoder.layer.{layer}.", f"layers.{layer}."
        for kind in ("weight", "bias"):
            heads = [weights[f"{old}attention.self.{name}.{kind}"] for name in _ATTENTION]
            renamed[f"{new}attend.{kind}"] = torch.cat(heads)
            for target, source in parts.items():
                renamed[f"{new}{target}.{kind}"] = weights[f"{old}{source}.{kind}"]
    return renamed


_ATTENTION = ("query", "key", "value")  # the order in which a layer takes them apart
