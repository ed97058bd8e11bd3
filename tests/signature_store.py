"""Results that do or do not show a failure signature: scores, answers, and records of making."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import builders as b
from slmbench.analysis.results import Results, load_results
from slmbench.analysis.signature_rules.findings import Finding, Signature, Thresholds
from slmbench.analysis.signatures import find_signatures
from slmbench.made import (
    CurvePoint,
    GridFacts,
    MadeRecord,
    TextFacts,
    TrainFacts,
    Training,
)
from slmbench.requests import GenerateOutput, GenerateRequest, ItemOutput, ItemSet
from slmbench.spec import VariantRef
from slmbench.spec.recipe import RoundToNearest, Train
from slmbench.store import save_variant
from slmbench.store.variants import VariantRecord

TASKS = ("arc_easy", "hellaswag")


def choice(
    shelf: b.Shelf,
    ref: VariantRef,
    shares: Mapping[str, float],
    *,
    items: int = 100,
    bits: float = 4.5,
    **changes: object,
) -> None:
    """One run a task: of its items the first share is right, so that runs differ by nesting."""
    for name, share in shares.items():
        asked = b.choice_items(name, items)
        right = [float(i < round(share * items)) for i in range(items)]
        cell = b.cell(ref, b.task(name, "acc"), **changes)
        shelf.task(cell, asked, {"acc": right}, model=b.model(bits))


def both(share: float) -> dict[str, float]:
    """The same share in both tasks."""
    return dict.fromkeys(TASKS, share)


def questions(name: str, count: int, *, max_tokens: int = 64) -> ItemSet:
    """Questions that are answered in words."""
    plain = b.choice_items(name, count)
    asked = (GenerateRequest(prompt="Q:", max_tokens=max_tokens),)
    items = tuple(i.model_copy(update={"requests": asked, "choices": (), "gold": None,
                                       "target": i.item_id}) for i in plain.items)  # fmt: skip
    return plain.model_copy(update={"items": items, "scorer": "exact_match"})


def spoken(items: ItemSet, answers: Sequence[Sequence[int]]) -> list[ItemOutput]:
    """Answers of these tokens; the text is their numbers."""
    return [
        ItemOutput(
            item_id=item.item_id,
            outputs=(
                GenerateOutput(
                    text=" ".join(map(str, tokens)),
                    token_ids=tuple(tokens),
                    prompt_tokens=9,
                    evaluated_tokens=9,
                    start_ns=0,
                    token_ns=tuple(range(1, len(tokens) + 1)),
                    finish="length",
                    failure=None if tokens else "empty_output",
                ),
            ),
        )
        for item, tokens in zip(items.items, answers, strict=True)
    ]


def talk(
    shelf: b.Shelf, ref: VariantRef, answers: Sequence[Sequence[int]], *, task: str = "talk",
    failures: Sequence[float] = (),
) -> None:  # fmt: skip
    """A run of generated answers; ``failures``: where no answer could be extracted."""
    items = questions(task, len(answers))
    scores: dict[str, Sequence[float | None]] = {"exact_match": [1.0] * len(answers)}
    if failures:
        scores["extraction_failure_rate"] = list(failures)
    shelf.task(b.cell(ref, b.task(task, "exact_match"), suite="words"), items, scores,
               outputs=spoken(items, answers))  # fmt: skip


def trained(
    root: Path, ref: VariantRef, before: float, after: float, *, seed: int = 1,
    tokens: int = 4096, parent_identity: str | None = None, learning_rate: float = 1e-4,
    source: str = "made for tests",
) -> None:  # fmt: skip
    """The record of a training, as the campaign keeps it."""
    text = TextFacts(sources=(source,), sha256=b.sha("held out"), texts=9, tokens=9,
                     bytes=99)  # fmt: skip
    curve = (
        CurvePoint(step=0, tokens=0, seconds=0, loss=None, validation=before),
        CurvePoint(step=2, tokens=tokens, seconds=3, loss=2.0, validation=after),
    )
    training = Training(
        update="lora", trained_parameters=10, steps=2, tokens=tokens, sequences=16, text=text,
        validation_text=text, curve=curve, interruptions=0,
    )  # fmt: skip
    facts = TrainFacts(training=training, parameters=100, reload_max_logit_difference=0)
    recipe = Train(technique="train", tokens=4096, seed=seed, learning_rate=learning_rate)
    keep(root, ref, made(ref, recipe, facts, parent_identity))


def on_grid(root: Path, ref: VariantRef, bits: float) -> None:
    """The record of a rounding to a grid that would take so many bits."""
    facts = GridFacts(technique="rtn", matrices=2, kept_float=(), bits_per_weight=bits,
                      mean_squared_error=0.1)  # fmt: skip
    keep(root, ref, made(ref, RoundToNearest(technique="rtn", bits=2), facts, None))


def made(
    ref: VariantRef, recipe: Train | RoundToNearest, facts: TrainFacts | GridFacts,
    parent_identity: str | None,
) -> MadeRecord:  # fmt: skip
    """A record of making with the fields that no rule reads filled in."""
    return MadeRecord(
        variant=ref.name, identity=ref.digest, recipe=recipe, parent=ref.parent,
        parent_identity=parent_identity or ref.parent_digest, parent_sha256=None, artefact="hf",
        artefact_sha256=b.sha(ref.name), artefact_bytes=1, facts=facts, tools={},
        started_utc="2026-01-01T00:00:00+00:00", duration_s=60, threads=2, peak_memory_bytes=None,
    )  # fmt: skip


def keep(root: Path, ref: VariantRef, record: MadeRecord) -> None:
    """Write it where the campaign does."""
    save_variant(root, VariantRecord(variant=ref, made=record))


def finding(
    root: Path, variant: str, signature: Signature, thresholds: Thresholds | None = None
) -> Finding:
    """The one finding about a variant."""
    results: Results = load_results(root)
    found = find_signatures(results, thresholds)
    (one,) = [f for f in found if f.system.variant == variant and f.signature == signature]
    return one
