"""Recipes with their defaults, and records of making without anything made."""

from __future__ import annotations

import hashlib
from typing import Any

from slmbench.made import (
    CurvePoint,
    Energy,
    GgufQuantizeFacts,
    MadeRecord,
    Measured,
    TextFacts,
    TrainFacts,
    Training,
)
from slmbench.records import Provenance
from slmbench.spec import Recipe, VariantRef
from slmbench.spec.recipe import GgufQuantize, Train


def train(**settings: Any) -> Train:
    """A training with its defaults, unless said otherwise."""
    return Train.model_validate({"technique": "train", **settings})


def made_record(
    recipe: Recipe | None = None,
    *,
    ref: VariantRef | None = None,
    seconds: float = 12.5,
    parameters: int = 1000,
    joules: float | None = 80.0,
) -> MadeRecord:
    """A record as the maker would have written it."""
    recipe = recipe or GgufQuantize(technique="gguf_quantize", type="Q8_0")
    digest = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()
    return MadeRecord(
        variant="child" if ref is None else ref.name,
        identity=digest if ref is None else ref.digest,
        recipe=recipe,
        parent="parent" if ref is None else ref.parent,
        parent_identity="a" * 64 if ref is None else ref.parent_digest,
        parent_sha256="b" * 64,
        artefact="hf",
        artefact_sha256="c" * 64,
        artefact_bytes=4 * parameters,
        facts=_facts(recipe, seconds),
        tools={"python": "3.11"},
        started_utc="2026-01-01T00:00:00+00:00",
        duration_s=seconds,
        threads=2,
        peak_memory_bytes=123_000_000,
        measured=Measured(
            parameters=parameters,
            weight_bytes=4 * parameters,
            bits_per_weight=32.0,
            zero_share=0.0,
            kernel="real",
            kernel_reason="computed with as stored",
        ),
        energy=Energy(
            joules=joules,
            provenance=Provenance.ESTIMATED if joules else Provenance.UNAVAILABLE,
            scope="modelled",
        ),
    )


def _facts(recipe: Recipe, seconds: float) -> TrainFacts | GgufQuantizeFacts:
    if not isinstance(recipe, Train):
        return GgufQuantizeFacts(note="n", from_types=(), to_types=(), bits_per_weight=8.5)
    text = TextFacts(sources=("x",), sha256="d" * 64, texts=1, tokens=10, bytes=40)
    ends = (
        CurvePoint(step=0, tokens=0, seconds=0.0, loss=None, validation=0.9),
        CurvePoint(step=4, tokens=recipe.tokens, seconds=seconds, loss=3.0, validation=0.8),
    )
    return TrainFacts(
        training=Training(
            update=recipe.update.kind,
            trained_parameters=5,
            steps=4,
            tokens=recipe.tokens,
            sequences=32,
            text=text,
            validation_text=text,
            curve=ends,
            interruptions=1,
        ),
        parameters=10,
        reload_max_logit_difference=0.0,
    )
