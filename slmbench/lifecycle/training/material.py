"""What a training reads: rows to learn, rows to validate on, and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from slmbench.lifecycle.calibration_text import text_facts
from slmbench.lifecycle.training.loop import Ended
from slmbench.lifecycle.training.packing import pack
from slmbench.lifecycle.training.selection import perplexity_by, select
from slmbench.lifecycle.training.text import Corpus, read_corpus
from slmbench.lifecycle.training.validation import HeldOut, computing, held_out
from slmbench.lifecycle.training.written import write_texts
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import TextFacts, Training
from slmbench.spec.recipes.training import Train


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that is read."""

    corpus: Corpus
    """After selection; with a writing teacher its texts."""
    rows: torch.Tensor
    """Ids [rows, sequence + 1]."""
    facts: TextFacts
    held_out: HeldOut


def material(recipe: Train, bench: Workbench, model: Any, tokenizer: Any) -> Material:
    """Read, select and pack the text of a recipe; ``model`` judges perplexity, as it is.

    Raises MissingDataError and ArtefactError as :func:`.text.read_corpus`, :func:`.packing.pack`
    and :func:`.written.write_texts` do.
    """
    corpus = read_corpus(recipe.text)
    if recipe.text.selection == "perplexity" and recipe.text.keep < 1:
        bench.report(f"perplexity of {len(corpus.texts)} passages")
    with computing(recipe.compute):
        texts = select(recipe.text, corpus.texts, perplexity_by(model, tokenizer))
    corpus = replace(corpus, texts=texts)
    checked = held_out(tokenizer, corpus, recipe.sequence)
    if recipe.text.written is not None:
        found = write_texts(recipe.text.written, texts, seed=recipe.text.seed, bench=bench)
        corpus = replace(corpus, texts=found.texts, sources=(*corpus.sources, found.source))
    return packed(recipe, corpus, tokenizer, checked)


def packed(recipe: Train, corpus: Corpus, tokenizer: Any, checked: HeldOut) -> Material:
    """Material of these texts: of one client, say."""
    made = pack(tokenizer, corpus.texts, recipe.sequence)
    facts = text_facts(corpus.texts, corpus.sources, made.tokens)
    return Material(corpus, made.rows, facts, checked)


def training_facts(
    recipe: Train, found: Material, ended: Ended, trained: int, teachers: Sequence[str] = ()
) -> Training:
    """What a record says of a run of the loop; ``trained`` numbers learnt."""
    return Training(
        update=recipe.update.kind,
        trained_parameters=trained,
        steps=ended.steps,
        tokens=ended.tokens,
        sequences=ended.sequences,
        text=found.facts,
        validation_text=found.held_out.facts,
        curve=ended.curve,
        interruptions=ended.interruptions,
        stopped=ended.stopped,
        teacher_sha256=tuple(teachers),
    )
