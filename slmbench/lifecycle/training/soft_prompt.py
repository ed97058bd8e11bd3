"""Prompt tuning: a few learnt embeddings in front of everything, the model stays as it is.

Lester et al. 2021 (arXiv 2104.08691). The embeddings become tokens of the vocabulary that the
tokenizer puts first, so the product is an ordinary folder; ``slmbench_soft_prompt`` in its config
says how many they are. The folder's output head has a row for each of them. Where the head is
tied these rows are the embeddings themselves, and training, which scores over all rows, makes them
unlikely; where it is not they are copies of the row that the model finds least likely on the
training text, and do not learn. How much probability they get is measured and recorded.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import AddedToken, processors
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.errors import ArtefactError
from slmbench.lifecycle.hf_folder import copy_companions
from slmbench.lifecycle.training.learner import Learner, Saved
from slmbench.lifecycle.training.packing import stream
from slmbench.lifecycle.training.text import read_corpus
from slmbench.lifecycle.training.updates import TOLERANCE
from slmbench.lifecycle.training.validation import held_out
from slmbench.lifecycle.workbench import Workbench
from slmbench.spec.recipes.training import SoftPrompt, Train

COUNT_KEY = "slmbench_soft_prompt"
"""Of config.json; backends/transformers_load.py reads it."""
_PROBE_TOKENS = 24
_FIRST_TEXTS = 64
"""Passages that the first embeddings are drawn from."""
_READ = 512
"""Tokens of them that are read to find the least likely row."""


class Prompted(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A frozen causal model behind learnt embeddings; called like the model itself.

    Logits are those of the folder that is saved: columns of the prompt's tokens stand at their
    ids, and only positions after the prompt come out.
    """

    def __init__(self, model: Any, words: int, start: torch.Tensor, head: torch.Tensor | None):
        """``words``: length of the tokenizer; ``start``: first embeddings [tokens, hidden];
        ``head``: fixed rows of the output head [tokens, hidden], None where it is tied."""
        super().__init__()
        self.model, self.words = model.requires_grad_(False), words
        self.config = model.config
        self.prompt = torch.nn.Parameter(start.clone())
        self.register_buffer("head", head)

    def forward(self, input_ids: torch.Tensor, use_cache: bool = False) -> SimpleNamespace:
        """``logits`` [rows, length, vocabulary and prompt] after each of ``input_ids``; ``plain``:
        the parent's columns only; ``hidden_states``: the last ones."""
        count = len(self.prompt)
        front = self.prompt.expand(len(input_ids), -1, -1)
        read = torch.cat((front, self.model.get_input_embeddings()(input_ids)), 1)
        seen = self.model.base_model(inputs_embeds=read, use_cache=use_cache)
        hidden = seen.last_hidden_state[:, count:]
        logits = self.model.get_output_embeddings()(hidden)
        own = hidden @ (self.prompt if self.head is None else self.head).to(hidden.dtype).T
        parts = (logits[..., : self.words], own, logits[..., self.words + count :])
        return SimpleNamespace(logits=torch.cat(parts, -1), plain=logits, hidden_states=(hidden,))


def learner(recipe: Train, bench: Workbench, model: Any) -> Learner:
    """The frozen parent behind a prompt that learns.

    Raises ArtefactError as :func:`with_prompt` and :func:`save_prompt` do.
    """
    assert isinstance(recipe.update, SoftPrompt), "train asks for this where a prompt learns"
    tokenizer = AutoTokenizer.from_pretrained(bench.parent, local_files_only=True)
    corpus = read_corpus(recipe.text)
    ids = torch.tensor(stream(tokenizer, corpus.texts[:_FIRST_TEXTS]))
    prompted = with_prompt(model, tokenizer, ids, recipe.update.tokens, recipe.seed)
    rows = held_out(tokenizer, corpus, recipe.sequence).rows
    return Learner(
        prompted, partial(_save, prompted, bench, rows), outputs=_parents_outputs,
        libraries=("tokenizers",),
    )  # fmt: skip


def _save(model: Prompted, bench: Workbench, rows: torch.Tensor, out: Path) -> Saved:
    share = prompt_probability(model, rows)
    bench.report(f"the prompt's own tokens get {share:.2g} of the probability on held-out text")
    return replace(save_prompt(model, bench.parent, out / "hf"), prompt_probability=share)


def _parents_outputs(model: Any, ids: torch.Tensor, hidden: bool) -> Any:
    """As a teacher sees it: without the columns of the prompt."""
    del hidden
    found = model(input_ids=ids)
    return SimpleNamespace(logits=found.plain, hidden_states=found.hidden_states)


def with_prompt(model: Any, tokenizer: Any, ids: torch.Tensor, count: int, seed: int) -> Prompted:
    """The model with ``count`` embeddings that begin as those of words of the training text.

    Raises ArtefactError for text with fewer different tokens.
    """
    model.requires_grad_(False)
    seen = torch.unique(ids)
    if len(seen) < count:
        raise ArtefactError(
            f"update.tokens is {count}, but the training text has {len(seen)} different tokens",
            hint="learn fewer tokens, or read more text",
        )
    drawn = torch.Generator().manual_seed(seed % (1 << 63))
    chosen = seen[torch.randperm(len(seen), generator=drawn)[:count]]
    start = model.get_input_embeddings().weight[chosen].detach()
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    head = None if tied else _quiet_row(model, ids).expand(count, -1).clone()
    return Prompted(model, len(tokenizer), start, head)


def prompt_probability(model: Prompted, rows: torch.Tensor) -> float:
    """Mean probability that the prompt's own tokens get together after each token of the rows."""
    first, last = model.words, model.words + len(model.prompt)
    shares = []
    with torch.inference_mode():
        for row in rows:
            logits = model(row[None, :-1]).logits.float()
            shares.append(torch.softmax(logits, -1)[..., first:last].sum(-1).mean())
    return float(torch.stack(shares).mean())


def save_prompt(model: Prompted, parent: Path, folder: Path) -> Saved:
    """Write the folder: embeddings with the prompt's rows, and a tokenizer that puts it first.

    Raises ArtefactError where the reloaded folder does not give the trained model's logits, or its
    tokenizer does not put the prompt first.
    """
    model.eval()
    count, whole = len(model.prompt), model.model
    probe = torch.arange(_PROBE_TOKENS).unsqueeze(0) * 97 % model.words
    with torch.inference_mode():
        before = model(probe).logits
    wanted = max(model.words + count, whole.get_input_embeddings().num_embeddings)
    whole.resize_token_embeddings(wanted, mean_resizing=False)
    span = slice(model.words, model.words + count)
    with torch.no_grad():
        whole.get_input_embeddings().weight[span] = model.prompt
        if model.head is not None:
            whole.get_output_embeddings().weight[span] = model.head
    setattr(whole.config, COUNT_KEY, count)
    whole.config._name_or_path = ""  # noqa: SLF001  else a path of this machine is written
    whole.save_pretrained(folder)
    copy_companions(parent, folder)
    ids = _put_first(parent, folder, count)
    parameters = int(whole.num_parameters())
    again = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    with torch.inference_mode():
        read = torch.cat((torch.tensor([ids]), probe), 1)
        after = again(input_ids=read, use_cache=False).logits[:, count:]
    difference = float((after - before).abs().max())
    if not difference <= TOLERANCE * max(1.0, float(before.abs().max())):
        raise ArtefactError(
            f"the saved folder's logits differ from the trained prompt's by {difference:.2g}",
            hint="prompt tuning needs a model that takes inputs_embeds and has a plain output head",
        )
    return Saved(folder, parameters, None, difference)


def _put_first(parent: Path, folder: Path, count: int) -> list[int]:
    """Save a tokenizer with the prompt's tokens in front of every text and chat; their ids."""
    tokenizer = AutoTokenizer.from_pretrained(parent, local_files_only=True)
    if not tokenizer.is_fast:
        raise ArtefactError(
            f"{parent}: its tokenizer is no tokenizer.json", hint="save it as a fast tokenizer"
        )
    words = [f"<|soft_prompt_{n}|>" for n in range(count)]
    tokenizer.add_tokens([AddedToken(w, special=True, normalized=False) for w in words], True)
    ids = tokenizer.convert_tokens_to_ids(words)
    inner = tokenizer.backend_tokenizer
    template = processors.TemplateProcessing(
        single=[*words, "$A"],
        pair=[*words, "$A", "$B"],
        special_tokens=list(zip(words, ids, strict=True)),
    )
    before = inner.post_processor
    inner.post_processor = template if before is None else processors.Sequence([before, template])
    if tokenizer.chat_template:
        tokenizer.chat_template = "".join(words) + tokenizer.chat_template
    for name in ("chat_template.jinja", "tokenizer_config.json", "tokenizer.json"):
        (folder / name).unlink(missing_ok=True)
    tokenizer.save_pretrained(folder)
    again = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if list(again("a").input_ids[:count]) != ids:
        raise ArtefactError(
            f"the reloaded {type(again).__name__} does not put the learnt prompt first",
            hint="this tokenizer rebuilds its own template: use another parent",
        )
    return list(ids)


def _quiet_row(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """The output row whose largest probability over some text is the smallest, [1, hidden]."""
    with torch.inference_mode():
        logits = model(input_ids=ids.view(1, -1)[:, :_READ], use_cache=False).logits[0].float()
    head = model.get_output_embeddings().weight
    quiet = int(torch.log_softmax(logits, -1).amax(0).argmin())
    found: torch.Tensor = head[quiet : quiet + 1].detach()
    return found
