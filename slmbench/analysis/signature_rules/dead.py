"""Dead outputs: nothing, one thing for everything, one token for ever, or no numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.plausibility import Guard
from slmbench.analysis.rows import primary_metric
from slmbench.analysis.signature_rules.findings import (
    Answer,
    Definition,
    Evidence,
    no,
    unknown,
    yes,
)
from slmbench.analysis.signature_rules.material import Material
from slmbench.analysis.statistics import share_estimate
from slmbench.analysis.systems import System

DEFINITION = Definition(
    "dead outputs",
    "dead",
    "dead in part",
    "In a task: half of the answers are empty or a tenth as long as the parent's; 95 % are the "
    "same text, the same choice by its place, or have equal log-likelihoods for all choices (the "
    "plausibility guards, which also take these numbers out of rankings); half of the answers are "
    "one token again and again, or not finite numbers. The same text or place for everything "
    "counts only where the parent did not do it already, unless half of the tasks are so. Severe: "
    "half of the tasks, or log-likelihoods that are equal or not finite; else moderate.",
    "The guards of this project (docs/gates.md): an argmax over dead numbers is the first choice.",
    "any suite with tasks; the answers must have been kept",
)
CONSTANT: frozenset[Guard] = frozenset({"one position", "repeated output"})
"""One answer for everything: a weak model's habit in a single task, dead if it is everywhere."""
GUARDS: frozenset[Guard] = CONSTANT | {"collapsed output", "dead model", "empty output"}
NOT_FINITE = "non_finite"
ONE_TOKEN = 0.95
"""Share of an answer's tokens that one token must have, of eight or more."""
_LONG_ENOUGH = 8


@dataclass(frozen=True, slots=True)
class _Mark:
    """One sign of death in one task."""

    evidence: Evidence
    constant: bool = False
    """One answer for everything, under this guard."""
    known: bool = False
    """The parent does the same there."""
    of_model: bool = False
    """Numbers that no working model gives, whatever the task."""


def judge(material: Material, system: System) -> Answer:
    """The rule, applied to one system."""
    runs = material.judged.get(system, ())
    if not runs:
        return unknown("no results of tasks")
    by_run = [(run, list(_marks(material, system, run))) for run in runs]
    wide = sum(bool(marks) for _, marks in by_run) >= material.thresholds.dead_share * len(runs)
    every = [mark for _, marks in by_run for mark in marks]
    counted = [m for m in every if wide or not (m.constant and m.known)]
    if counted:
        severe = wide or any(m.of_model for m in counted)
        return yes([m.evidence for m in counted], "severe" if severe else "moderate")
    asked = sum(run.run.record.items_total for run in runs)
    seen = [Evidence(f"{len(runs)} tasks", 0.0, n=asked, text=f"no new ones in {len(runs)} tasks")]
    habits = [f"{m.evidence.text} (so does the parent)" for m in every]
    lost = sum(run.answers is None for run in runs)
    if lost:
        habits.append(f"the answers of {lost} tasks were not kept")
    return no(seen, "; ".join(habits))


def _marks(material: Material, system: System, run: JudgedRun) -> Iterator[_Mark]:
    task, n = run.run.spec.work_name, run.run.record.items_total
    for doubt in material.doubts(run.run, GUARDS):
        if doubt.metric in (None, primary_metric(run.run)):
            evidence = Evidence(f"{task}: {doubt.guard}", None, n=n, text=f"{task}: {doubt.reason}")
            constant = doubt.guard in CONSTANT
            known = constant and _in_parent(material, system, run, doubt.guard)
            yield _Mark(evidence, constant, known, of_model=doubt.guard == "dead model")
    yield from _not_finite(material, run)
    yield from _one_token(material, run)


def _in_parent(material: Material, system: System, run: JudgedRun, guard: Guard) -> bool:
    """Whether the parent does the same; a root, which has none, is only judged by the whole."""
    parent = material.parent(system)
    if parent is None:
        return True
    other = material.partner(run, parent)
    if other is None:
        return False
    found = material.doubts(other.run, {guard})
    return any(d.metric in (None, primary_metric(other.run)) for d in found)


def _not_finite(material: Material, run: JudgedRun) -> Iterator[_Mark]:
    failed: dict[str, bool] = {}
    for judged in run.judged.values():
        for item, failure in zip(judged.items, judged.failures, strict=True):
            failed[item] = failed.get(item, False) or failure == NOT_FINITE
    bad = sum(failed.values())
    if not bad:
        return
    task, limit = run.run.spec.work_name, material.thresholds.dead_share
    e = share_estimate(list(failed.values()), list(failed))
    text = f"{task}: {bad} of {len(failed)} answers are not finite numbers"
    what, n = f"{task}: not finite", len(failed)
    evidence = Evidence(what, e.value, e.low, e.high, "fraction", limit, n, "", text)
    yield _Mark(evidence, of_model=bad >= limit * n)


def _one_token(material: Material, run: JudgedRun) -> Iterator[_Mark]:
    texts = run.answers.texts if run.answers else ()
    if len(texts) < material.thresholds.fewest:
        return
    stuck = [_is_one_token(t.token_ids) for t in texts]
    limit = material.thresholds.dead_share
    if sum(stuck) < limit * len(texts):
        return
    task, n = run.run.spec.work_name, len(texts)
    e = share_estimate(stuck, [t.item.cluster for t in texts])
    text = f"{task}: {sum(stuck)} of {n} answers are one token again and again"
    what = f"{task}: one token"
    yield _Mark(Evidence(what, e.value, e.low, e.high, "fraction", limit, n, "", text))


def _is_one_token(tokens: tuple[int, ...]) -> bool:
    if len(tokens) < _LONG_ENOUGH:
        return False
    return Counter(tokens).most_common(1)[0][1] >= ONE_TOKEN * len(tokens)
