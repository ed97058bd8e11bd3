"""Fails on long texts: the rules of ``analysis.long_context``, as a signature."""

from __future__ import annotations

from slmbench.analysis.long_context import LongSequences
from slmbench.analysis.signature_rules.findings import (
    Answer,
    Definition,
    Evidence,
    no,
    unknown,
    yes,
)
from slmbench.analysis.signature_rules.material import Material
from slmbench.analysis.systems import System

DEFINITION = Definition(
    "fails on long texts",
    "long texts",
    "long texts",
    "The effective length (the longest text up to which at least 0.85 of the keys found in the "
    "shortest texts are found, both above guessing) ends below the longest text tested, with its "
    "whole interval; or the loss per token rises beyond its earlier positions. These are the rules "
    "behind Results.long_sequences().",
    "Effective length after RULER (arXiv 2404.06654), relative to the model's own short texts; "
    "loss by position. See docs/scaling.md.",
    "the suite long_context",
)
_UNITS = {"effective_length": "tokens", "position_rise": "nats/token"}


def judge(material: Material, system: System) -> Answer:
    """The rule, applied to one system."""
    mine = [s for s in material.long_texts if System.of(s.run) == system]
    if not mine:
        return unknown("no results of suite long_context")
    by = {verdict: [s for s in mine if s.symptom == verdict] for verdict in ("yes", "no")}
    if by["yes"]:
        return yes([_evidence(s) for s in by["yes"]], "moderate")
    if by["no"]:
        left = [s for s in mine if s.symptom == "unknown"]
        said = "; ".join(f"{_task(s)}: not known, {s.reason}" for s in left)
        return no([_evidence(s) for s in by["no"]], said)
    return unknown("; ".join(dict.fromkeys(f"{_task(s)}: {s.reason}" for s in mine)))


def _task(found: LongSequences) -> str:
    return found.run.spec.work_name


def _evidence(found: LongSequences) -> Evidence:
    value = "no value" if found.value is None else f"{found.value:.4g} {_UNITS[found.measure]}"
    text = f"{_task(found)}: {found.measure.replace('_', ' ')} {value}"
    if found.reason:
        text += f" ({found.reason})"
    return Evidence(
        f"{_task(found)}: {found.measure}",
        found.value,
        unit=_UNITS[found.measure],
        text=text,
    )
