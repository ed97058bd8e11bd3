"""Failure signatures: rules over the results that recognise how small models break.

Each rule answers for every system (variant on target): yes, no, not decidable, or does not
apply; with the numbers that decided. Silence is not an answer. The rules are in
``signature_rules/``, their thresholds in :class:`Thresholds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from slmbench.analysis.columns import Column, frame
from slmbench.analysis.signature_rules import collapse, dead, long_texts, memory, stiffness, texts
from slmbench.analysis.signature_rules.findings import (
    Answer,
    Definition,
    Evidence,
    Finding,
    Signature,
    Thresholds,
)
from slmbench.analysis.signature_rules.material import Material
from slmbench.analysis.stored_results import StoredResults
from slmbench.analysis.systems import System

__all__ = [
    "RULES",
    "SIGNATURE_COLUMNS",
    "Finding",
    "Thresholds",
    "badge",
    "badges",
    "find_signatures",
    "found_in",
    "signature_frame",
    "undecided",
]

Judge = Callable[[Material, System], Answer]

RULES: Mapping[Signature, tuple[Definition, Judge]] = {
    definition.signature: (definition, judge)
    for definition, judge in (
        (dead.DEFINITION, dead.judge),
        (collapse.DEFINITION, collapse.judge),
        (texts.FORMAT, texts.judge_format),
        (texts.LOOPS, texts.judge_loops),
        (long_texts.DEFINITION, long_texts.judge),
        (memory.DEFINITION, memory.judge),
        (stiffness.DEFINITION, stiffness.judge),
    )
}
"""Every rule in the order in which pages name them."""


def _text(name: str, description: str) -> Column:
    return Column(name, "=signatures", "string", description)


def _number(name: str, description: str, unit: str = "") -> Column:
    return Column(name, "=signatures", "Float64", description, unit)


SIGNATURE_COLUMNS: tuple[Column, ...] = (
    _text("variant", "variant name"),
    _text("variant_digest", "digest of the artefact or of its recipe"),
    _text("target", "target name"),
    _text("backend", "inference engine"),
    _text("size", "demo, standard or full"),
    _text("machine", "fingerprint of the machine"),
    _text("signature", "what it is about"),
    _text("verdict", "yes, no, not decidable, does not apply"),
    _text("severity", "severe or moderate; null unless the verdict is yes"),
    _text("what", "the number that decided"),
    _number("value", "that number", "of what"),
    _number("ci_low", "lower end of its 95 % interval", "of what"),
    _number("ci_high", "upper end", "of what"),
    _number("threshold", "what it was held against", "of what"),
    _text("unit", "unit of these; empty: a ratio"),
    Column("n", "=signatures", "Int64", "items, answers or seeds behind it", "count"),
    _text("reference", "variant that it was compared with; null: none"),
    _text("inherited", "ancestor that shows the same; null: this step brought it, or nothing"),
    _text("evidence", "everything that decided, in sentences"),
)


def find_signatures(
    results: StoredResults, thresholds: Thresholds | None = None
) -> tuple[Finding, ...]:
    """Every rule's answer for every system, by system and then in the order of :data:`RULES`."""
    material = Material(results, results.made, thresholds or Thresholds())
    findings = []
    for system in material.systems:
        for signature, (_, judge) in RULES.items():
            a = judge(material, system)
            findings.append(Finding(system, signature, a.verdict, a.evidence, a.reason, a.severity))
    return tuple(_inherited(material, findings))


def _inherited(material: Material, findings: Sequence[Finding]) -> Iterable[Finding]:
    """The findings, marked where an ancestor has the same signature."""
    positive = {(f.system.variant, f.signature) for f in findings if f.found}
    for finding in findings:
        above = material.ancestors(finding.system) if finding.found else ()
        name = next((a.name for a in above if (a.name, finding.signature) in positive), "")
        yield replace(finding, inherited=name) if name else finding


def found_in(findings: Iterable[Finding], system: System) -> tuple[Finding, ...]:
    """The signatures that a system has, severe ones first."""
    mine = [f for f in findings if f.found and f.system == system]
    return tuple(sorted(mine, key=lambda f: f.severity != "severe"))


def undecided(findings: Iterable[Finding], system: System) -> tuple[Finding, ...]:
    """What is not known of a system."""
    return tuple(f for f in findings if f.verdict == "not decidable" and f.system == system)


def badges(findings: Iterable[Finding], variant: str) -> tuple[str, ...]:
    """Short names of what was found in a variant on any target, without repetition.

    >>> badges((), "smollm2-q8_0")
    ()
    """
    mine = [f for f in findings if f.found and f.system.variant == variant]
    return tuple(dict.fromkeys(badge(f) for f in mine))


def badge(finding: Finding) -> str:
    """Short name of a signature that was found."""
    definition = RULES[finding.signature][0]
    return definition.badge if finding.severity == "severe" else definition.mild


def signature_frame(findings: Iterable[Finding]) -> pd.DataFrame:
    """One row a system and signature (:data:`SIGNATURE_COLUMNS`)."""
    rows = [(f, f.evidence[0] if f.evidence else Evidence("", None, unit="")) for f in findings]
    values: dict[str, Iterable[object]] = {
        "variant": [f.system.variant for f, _ in rows],
        "variant_digest": [f.system.digest for f, _ in rows],
        "target": [f.system.target for f, _ in rows],
        "backend": [f.system.backend for f, _ in rows],
        "size": [f.system.size for f, _ in rows],
        "machine": [f.system.machine for f, _ in rows],
        "signature": [f.signature for f, _ in rows],
        "verdict": [f.verdict for f, _ in rows],
        "severity": [f.severity for f, _ in rows],
        "what": [e.what or None for _, e in rows],
        "value": [e.value for _, e in rows],
        "ci_low": [e.low for _, e in rows],
        "ci_high": [e.high for _, e in rows],
        "threshold": [e.threshold for _, e in rows],
        "unit": [e.unit or None for _, e in rows],
        "n": [e.n or None for _, e in rows],
        "reference": [e.reference or None for _, e in rows],
        "inherited": [f.inherited or None for f, _ in rows],
        "evidence": [f.text or None for f, _ in rows],
    }
    return frame(SIGNATURE_COLUMNS, values)
