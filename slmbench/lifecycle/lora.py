"""Fine-tune on the planted corpus by low-rank updates, and merge them (Hu et al. 2106.09685).

A text is what the tokenizer makes of it and the end token after it, as the tasks ask it; the loss
is the mean over all tokens but the first of each text. With the same seed, thread count, library
versions and processor the weights are the same bit for bit; on another processor the order of
sums differs, and so do the last bits.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.errors import ArtefactError
from slmbench.lifecycle.hf_folder import check_folder, copy_companions
from slmbench.lifecycle.training.updates import compare, probe, with_update
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import LoraFacts
from slmbench.spec.recipe import LoraFinetune
from slmbench.spec.recipes.training import LoraUpdate
from slmbench.tasks.privacy_corpus import Corpus, make_corpus

ADAPTER = "adapter"
"""Folder beside the artefact."""
_WARM_UP = 0.05
_MAX_GRADIENT = 1.0
_IGNORED = -100
_REPORTS = 8
"""Lines of progress in an epoch."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What training left behind."""

    losses: tuple[float, ...]
    """Mean of each epoch [nats/token]."""
    tokens: int
    steps: int


def make(recipe: LoraFinetune, bench: Workbench) -> Product:
    """Write ``hf/`` with merged float32 weights and ``adapter/`` beside it.

    Raises ArtefactError for a corpus with another digest than the recipe's, a loss that is no
    number, and a merged folder whose logits are not the adapter's.
    """
    torch.set_num_threads(bench.threads)
    check_folder(bench.parent)
    corpus = planted(recipe)
    tokenizer = AutoTokenizer.from_pretrained(bench.parent, local_files_only=True)
    texts = corpus.planted_texts()
    ids = [_ids(tokenizer, text) for text in texts]
    cut = sum(len(each) > recipe.max_tokens for each in ids)
    model = _with_updates(recipe, bench.parent)
    bench.report(f"LoRA of rank {recipe.rank} on {len(texts)} texts, {recipe.epochs} epochs")
    trained = train(model, [each[: recipe.max_tokens] for each in ids], recipe, bench)
    model.eval()
    model.save_pretrained(bench.out / ADAPTER)
    adapter = next((bench.out / ADAPTER).glob("*.safetensors"))
    before, count = probe(model), sum(p.numel() for p in model.parameters() if p.requires_grad)
    out = _merged(model, bench.parent, bench.out / "hf")
    facts = LoraFacts(
        corpus_sha256=corpus.sha256,
        texts=len(texts),
        tokens=trained.tokens,
        steps=trained.steps,
        epoch_losses=trained.losses,
        cut_texts=cut,
        trained_parameters=count,
        adapter_sha256=hashlib.sha256(adapter.read_bytes()).hexdigest(),
        merge_max_logit_difference=compare(before, out),
    )
    return Product(out, facts, ("torch", "peft", "transformers", "safetensors"))


def planted(recipe: LoraFinetune) -> Corpus:
    """The recipe's corpus; ArtefactError when it is not the one that the recipe names."""
    corpus = make_corpus(recipe.corpus)
    expected = recipe.corpus.sha256
    if expected is not None and expected != corpus.sha256:
        raise ArtefactError(
            f"the planted corpus has SHA-256 {corpus.sha256}, the recipe says {expected}",
            hint="another version of slmbench wrote it: take the digest of this one",
        )
    return corpus


def train(model: Any, ids: Sequence[list[int]], recipe: LoraFinetune, bench: Workbench) -> Trained:
    """Run all epochs over the token ids; updates ``model`` in place."""
    model.train()
    weights = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=0.0)
    per_epoch = -(-len(ids) // recipe.batch)
    total = per_epoch * recipe.epochs
    shuffled = random.Random(recipe.seed)  # noqa: S311
    losses: list[float] = []
    tokens = step = 0
    for epoch in range(recipe.epochs):
        nats, seen = 0.0, 0
        for batch in batches(ids, recipe.batch, shuffled):
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * _share_of_rate(step, total)
            loss, scored = _step(model, batch, recipe)
            optimiser.step()
            optimiser.zero_grad()
            nats, seen, step = nats + loss * scored, seen + scored, step + 1
            if step % max(1, per_epoch // _REPORTS) == 0:
                bench.report(f"step {step} of {total}, epoch {epoch + 1}: loss {nats / seen:.3f}")
        losses.append(nats / seen)
        tokens += seen
    return Trained(tuple(losses), tokens, step)


def batches(
    ids: Sequence[list[int]], size: int, shuffled: random.Random
) -> Iterator[list[list[int]]]:
    """All texts once, in a new order; those of a batch have like lengths, to pad little."""
    order = list(range(len(ids)))
    shuffled.shuffle(order)
    order.sort(key=lambda i: len(ids[i]))  # stable: equal lengths stay shuffled
    parts = [order[i : i + size] for i in range(0, len(order), size)]
    shuffled.shuffle(parts)
    for part in parts:
        yield [ids[i] for i in part]


def _ids(tokenizer: Any, text: str) -> list[int]:
    found = list(tokenizer(text).input_ids)
    end = tokenizer.eos_token_id
    return found if end is None or found[-1:] == [end] else [*found, end]


def _with_updates(recipe: LoraFinetune, parent: Path) -> Any:
    model = AutoModelForCausalLM.from_pretrained(parent, local_files_only=True, dtype=torch.float32)
    model.config._name_or_path = ""  # noqa: SLF001  else a path of this machine is written
    update = LoraUpdate(rank=recipe.rank, alpha=recipe.alpha, targets=recipe.targets)
    return with_update(model, update, recipe.seed)


def _share_of_rate(step: int, total: int) -> float:
    """Up over the first twentieth, then down to 0 along a line."""
    rising = max(1, round(_WARM_UP * total))
    if step < rising:
        return (step + 1) / rising
    return (total - step) / max(1, total - rising)


def _step(model: Any, batch: Sequence[list[int]], recipe: LoraFinetune) -> tuple[float, int]:
    """Gradients of one batch; its mean loss [nats/token] and how many tokens were scored."""
    longest = max(map(len, batch))
    rows = torch.tensor([row + [0] * (longest - len(row)) for row in batch])
    lengths = torch.tensor([[len(row)] for row in batch])
    labels = rows.masked_fill(torch.arange(longest) >= lengths, _IGNORED)[:, 1:]
    how = (
        torch.autocast("cpu", dtype=torch.bfloat16)
        if recipe.compute == "bfloat16"
        else nullcontext()
    )
    with how:
        logits = model(input_ids=rows, use_cache=False).logits  # what is padded comes last
    loss = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), labels.flatten(), ignore_index=_IGNORED
    )
    if not bool(torch.isfinite(loss)):
        raise ArtefactError(
            "the loss is no number any more", hint="lower learning_rate, or compute in float32"
        )
    loss.backward()
    torch.nn.utils.clip_grad_norm_(
        [p for p in model.parameters() if p.requires_grad], _MAX_GRADIENT
    )
    return float(loss.detach()), int((labels != _IGNORED).sum())


def _merged(model: Any, parent: Path, out: Path) -> Path:
    whole = model.merge_and_unload(safe_merge=True)
    whole.save_pretrained(out)
    copy_companions(parent, out)
    return out
