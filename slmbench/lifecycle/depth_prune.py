"""Drop the decoder layers that change their input least.

Block influence of layer i (Men et al., ShortGPT, arXiv 2403.03853, eq. 1)::

    BI_i = 1 − E_t [ x_i,t · x_(i+1),t / (|x_i,t| |x_(i+1),t|) ]

over the tokens t of real text, x_i the input of layer i and x_(i+1) its output. As in that
paper, layers are ranked by BI alone and removed in one shot, without training afterwards; first
and last layer have no special right, they merely tend to have a high influence. The last
layer's output is taken before the final norm. Dropping the last layers, or any, are baselines at
equal size.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.data.providers import Located, fetch
from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.calibration_text import passages_of, sample
from slmbench.lifecycle.hf_folder import check_folder, copy_companions
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import DepthPruneFacts
from slmbench.spec.recipe import DepthPrune


@dataclass(frozen=True, slots=True)
class Influence:
    """Block influence of every layer, and over how many tokens."""

    per_layer: tuple[float, ...]
    tokens: int


def make(recipe: DepthPrune, bench: Workbench) -> Product:
    """Write ``hf/`` with fewer layers."""
    torch.set_num_threads(bench.threads)
    check_folder(bench.parent)
    found = fetch(recipe.calibration)
    indices, texts = calibration_texts(found, recipe)
    bench.report(f"block influence on {len(texts)} texts of {recipe.calibration}")
    tokenizer = AutoTokenizer.from_pretrained(bench.parent, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        bench.parent, local_files_only=True, dtype=torch.float32
    ).eval()
    _known(model)
    ids = [tokenizer(text).input_ids[: recipe.max_tokens] for text in texts]
    influence = block_influence(model, ids)
    before = model.num_parameters()
    dropped = chosen(recipe, influence.per_layer)
    drop_layers(model, dropped)
    bench.report(f"dropped layers {', '.join(map(str, dropped))} of {len(influence.per_layer)}")
    out = bench.out / "hf"
    model.config._name_or_path = ""  # noqa: SLF001  else a path of this machine is written
    model.save_pretrained(out)
    copy_companions(bench.parent, out)
    facts = DepthPruneFacts(
        block_influence=influence.per_layer,
        dropped_layers=dropped,
        calibration=recipe.calibration,
        calibration_source=found.source,
        calibration_sha256=found.sha256,
        text_indices=indices,
        tokens=influence.tokens,
        parameters_before=before,
        parameters_after=model.num_parameters(),
    )
    return Product(out, facts, ("torch", "transformers", "safetensors"))


def _known(model: Any) -> None:
    """Raise UnsupportedModelError for a model whose decoder layers are not where Llama's are."""
    layers = getattr(getattr(model, "model", None), "layers", None)
    if not layers or any(not hasattr(layer, "self_attn") for layer in layers):
        raise UnsupportedModelError(
            f"depth_prune does not know {model.config.model_type}",
            hint="it drops layers of llama, mistral, qwen2 and models that are built like these",
        )


def calibration_texts(found: Located, recipe: DepthPrune) -> tuple[tuple[int, ...], list[str]]:
    """Row numbers and texts: a seeded sample of the set's validation (else first) split."""
    texts = passages_of(found).texts
    indices = sample(len(texts), recipe.calibration_texts, recipe.seed)
    return indices, [texts[i] for i in indices]


def block_influence(model: Any, sequences: Sequence[Sequence[int]]) -> Influence:
    """Block influence of each decoder layer over all tokens of ``sequences`` (ids, unpadded)."""
    layers = model.model.layers
    sums = [0.0] * len(layers)
    tokens = 0
    with _watching(layers, sums), torch.inference_mode():
        for ids in sequences:
            if ids:
                model.model(input_ids=torch.tensor([list(ids)]), use_cache=False)
                tokens += len(ids)
    if tokens == 0:
        raise ArtefactError("the calibration texts hold no token")
    return Influence(tuple(1.0 - total / tokens for total in sums), tokens)


@contextmanager
def _watching(layers: Any, sums: list[float]) -> Iterator[None]:
    """While open, each layer adds the cosines of its input and output to its sum."""
    hooks = [layer.register_forward_hook(_adder(sums, i)) for i, layer in enumerate(layers)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _adder(sums: list[float], i: int) -> Any:
    def add(_: Any, inputs: tuple[Any, ...], output: Any) -> None:
        after = output[0] if isinstance(output, tuple) else output
        cosines = torch.nn.functional.cosine_similarity(inputs[0].double(), after.double(), dim=-1)
        sums[i] += float(cosines.sum())

    return add


def chosen(recipe: DepthPrune, influence: Sequence[float]) -> tuple[int, ...]:
    """The layers that go, ascending; ArtefactError where none would be left."""
    last = least([0.0] * len(influence), recipe.drop_layers)  # of equals the later
    if recipe.rank_by == "last":
        return last
    if recipe.rank_by == "random":
        drawn = random.Random(f"layers {recipe.seed}")  # noqa: S311
        return tuple(sorted(drawn.sample(range(len(influence)), len(last))))
    return least(influence, recipe.drop_layers)


def least(influence: Sequence[float], count: int) -> tuple[int, ...]:
    """The ``count`` layers of least influence in ascending order; of equals the later first.

    >>> least([0.5, 0.1, 0.3, 0.1], 1)
    (3,)
    """
    if count >= len(influence):
        raise ArtefactError(
            f"drop_layers is {count}, but the parent has {len(influence)} layers",
            hint="leave at least one",
        )
    ranked = sorted(range(len(influence)), key=lambda i: (influence[i], -i))
    return tuple(sorted(ranked[:count]))


def drop_layers(model: Any, dropped: Sequence[int]) -> None:
    """Remove those layers in place; renumber the rest and correct the config."""
    gone = set(dropped)
    kept = [layer for i, layer in enumerate(model.model.layers) if i not in gone]
    for i, layer in enumerate(kept):
        if hasattr(layer, "layer_idx"):
            layer.layer_idx = i
        layer.self_attn.layer_idx = i
    model.model.layers = torch.nn.ModuleList(kept)
    model.config.num_hidden_layers = len(kept)
    kinds = getattr(model.config, "layer_types", None)
    if kinds is not None:
        model.config.layer_types = [kind for i, kind in enumerate(kinds) if i not in gone]
