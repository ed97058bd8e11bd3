"""How large a model is, read off its folder or file without an engine, or foretold.

Only sizes: weights, layers, widths. What a recipe makes of them can be told before it is made, so
that a whole chain can be estimated when nothing of it is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slmbench.errors import ArtefactError
from slmbench.lifecycle.gguf_header import read_header
from slmbench.spec import Recipe
from slmbench.spec.recipe import DepthPrune, LowRank, PeftPrune, RandomInit, WidthPrune

_BYTES_VOCABULARY = 258
_HEAD = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes that time and memory follow from."""

    parameters: int
    """Logical weights, a tied head once."""
    layers: int
    hidden: int
    inner: int
    """Width of the feed-forward layers."""
    vocabulary: int


def shape_of(path: Path) -> Shape | None:
    """The sizes of an artefact; None for one that does not tell them in a way known here."""
    try:
        return _of_gguf(path) if path.is_file() else _of_folder(path)
    except (OSError, ValueError, KeyError, TypeError, ArtefactError):
        return None


def foretold(recipe: Recipe, parent: Shape | None) -> Shape | None:
    """The sizes of what a recipe makes of such a parent; None where they cannot be told."""
    if isinstance(recipe, RandomInit):
        return _drawn(recipe, parent)
    if parent is None:
        return None
    if isinstance(recipe, DepthPrune):
        layers = max(1, parent.layers - recipe.drop_layers)
        return _with(parent, layers=layers, inner=parent.inner)
    if isinstance(recipe, WidthPrune | PeftPrune):
        return _with(parent, layers=parent.layers, inner=round(parent.inner * recipe.keep_ffn))
    if isinstance(recipe, LowRank):
        body = 3 * parent.layers * parent.hidden * parent.inner
        return replace(parent, parameters=round(parent.parameters - body * (1 - recipe.keep)))
    return parent


def _with(parent: Shape, *, layers: int, inner: int) -> Shape:
    """Fewer layers of the same kind, narrower inside."""
    embedding = parent.vocabulary * parent.hidden
    layer = max(0, parent.parameters - embedding) / max(1, parent.layers)
    layer -= 3 * parent.hidden * (parent.inner - inner)
    return replace(
        parent, layers=layers, inner=inner, parameters=round(embedding + layers * max(0.0, layer))
    )


def _drawn(recipe: RandomInit, parent: Shape | None) -> Shape:
    hidden = recipe.hidden_size
    inner = recipe.intermediate_size or -(-8 * hidden // 3 // 64) * 64
    kept = _BYTES_VOCABULARY if parent is None else parent.vocabulary
    vocabulary = recipe.vocab_size or kept
    heads = hidden // _HEAD
    width = (recipe.kv_heads or heads) * _HEAD
    layer = 2 * hidden * hidden + 2 * hidden * width + 3 * hidden * inner
    if recipe.architecture.startswith("mamba"):
        layer = 6 * hidden * hidden
    return Shape(
        vocabulary * hidden + recipe.layers * layer, recipe.layers, hidden, inner, vocabulary
    )


def _of_folder(folder: Path) -> Shape | None:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    hidden = int(config["hidden_size"])
    layers = int(config["num_hidden_layers"])
    vocabulary = int(config["vocab_size"])
    inner = int(config.get("intermediate_size") or 4 * hidden)
    heads = int(config.get("num_attention_heads") or max(1, hidden // _HEAD))
    width = int(config.get("head_dim") or hidden // heads)
    shared = int(config.get("num_key_value_heads") or heads)
    attention = 2 * hidden * width * (heads + shared)
    embedding = vocabulary * hidden * (1 if config.get("tie_word_embeddings", True) else 2)
    body = layers * (attention + 3 * hidden * inner + 2 * hidden) + hidden
    if config.get("model_type") != "llama":
        body = _weights(folder) - embedding
    return Shape(embedding + body, layers, hidden, inner, vocabulary)


def _weights(folder: Path) -> int:
    """Elements of all tensors in its safetensors."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, row in header.items():
            size = 1
            for side in row.get("shape", ()):
                size *= side
            total += 0 if name == "__metadata__" else size
    return total


def _of_gguf(path: Path) -> Shape | None:
    header = read_header(path)
    kind = header.metadata.get("general.architecture")

    def number(key: str) -> int:
        value = header.metadata[f"{kind}.{key}"]
        if not isinstance(value, int):
            raise TypeError(key)
        return value

    hidden = number("embedding_length")
    embedding = next(t for t in header.tensors if t.name == "token_embd.weight")
    return Shape(
        parameters=sum(t.weights for t in header.tensors),
        layers=number("block_count"),
        hidden=hidden,
        inner=number("feed_forward_length"),
        vocabulary=embedding.weights // hidden,
    )
