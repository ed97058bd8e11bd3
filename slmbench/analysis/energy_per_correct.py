"""Joules per right answer: from the energy per token of a system and the tokens of a task's items.

No meter stands around the items of a task: they are asked in batches that share prompts, some
workers at a time, and only for their answers. What a right answer costs is therefore derived. The
prompt tokens of an item times the energy per prompt token of prefill windows, plus its generated
tokens times the energy per output token of decode windows, summed over the items and divided by
the right ones: the cost of asking the items one by one. It is refused where that would be a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from slmbench.analysis.constructs.bootstrap import Rows, bootstrapped
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.energy import grade_of
from slmbench.analysis.rows import MetricRow, primary_metric
from slmbench.analysis.statistics import Estimate
from slmbench.meters.grades import RANKED
from slmbench.records import Provenance
from slmbench.requests import GenerateOutput, ItemOutput, LoglikelihoodOutput
from slmbench.spec import WorkloadPoint, WorkloadSpec

METRIC = "energy_per_correct"
RIGHT = frozenset({"acc", "acc_norm", "acc_bytes", "exact_match"})
"""Metrics that count right answers."""
MOST_STRETCH = 4.0
"""Prompts of a task may be so many times longer or shorter than those of the windows."""


@dataclass(frozen=True, slots=True)
class _Price:
    """Energy per token of one system at one point [J/token]."""

    row: MetricRow
    point: WorkloadPoint
    joules: float


@dataclass(frozen=True, slots=True)
class _Load:
    """Tokens of one item."""

    prompt: int
    output: int


def energy_per_correct(
    rows: Iterable[MetricRow], judged: Iterable[JudgedRun]
) -> tuple[MetricRow, ...]:
    """One row a task run whose system has energy figures of a grade that may be ranked, or why not.

    Systems without any energy run are left out: there is nothing to say about them.
    """
    prices = _prices(rows)
    found = []
    for run in judged:
        mine = prices.get(_system(run))
        if mine and primary_metric(run.run) in RIGHT:
            found.append(_priced(run, mine))
    return tuple(found)


def _system(run: JudgedRun | MetricRow) -> tuple[str, str, str]:
    spec = run.run.spec
    return spec.variant.digest, spec.target.name, run.run.record.machine


def _prices(rows: Iterable[MetricRow]) -> Mapping[tuple[str, str, str], list[_Price]]:
    found: dict[tuple[str, str, str], list[_Price]] = {}
    for row in rows:
        work = row.run.spec.work
        named = row.metric in ("energy_per_prompt_token", "energy_per_token")
        if not named or not isinstance(work, WorkloadSpec):
            continue
        value = row.estimate.value
        if value is None or grade_of(row) not in RANKED or row.phase != "window":
            continue
        point = next((p for p in work.points if p.label == row.point), None)
        if point is not None and point.batch == 1:
            found.setdefault(_system(row), []).append(_Price(row, point, value))
    return found


def _priced(run: JudgedRun, prices: list[_Price]) -> MetricRow:
    try:
        outputs = {o.item_id: o for o in run.run.outputs()}
    except (ValueError, OSError):
        outputs = {}
    column = run.judged.get(primary_metric(run.run))
    scored = [] if column is None else [
        (score, cluster, _load(outputs[item]))
        for item, cluster, score in zip(column.items, column.clusters, column.values, strict=True)
        if score is not None and item in outputs
    ]  # fmt: skip
    if not scored:
        return run.row(METRIC, _none(0), reason="no scored item has a stored answer")
    loads = [load for _, _, load in scored]
    prefill, decode, why = _chosen(loads, prices)
    if prefill is None:
        return run.row(METRIC, _none(len(loads)), reason=why)
    per_output = decode.joules if decode else 0.0
    joules = np.asarray([x.prompt * prefill.joules + x.output * per_output for x in loads])
    right = np.asarray([score for score, _, _ in scored])

    def cost(drawn: Rows) -> float | None:
        answers = float(right[drawn].sum())
        return float(joules[drawn].sum()) / answers if answers > 0 else None

    estimate = bootstrapped(cost, [cluster for _, cluster, _ in scored])
    if estimate.value is None:
        return run.row(METRIC, estimate, reason="no answer was right")
    row = prefill.row
    points = " and ".join(p.point.label for p in (prefill, decode) if p is not None)
    told = f"items asked one by one at the energy per token of {points}; interval: items alone"
    return MetricRow(
        run.run, METRIC, estimate, Provenance.DERIVED, point=points, scope=row.scope,
        method=row.method, reason=told, flags=row.flags,
    )  # fmt: skip


def _chosen(loads: list[_Load], prices: list[_Price]) -> tuple[_Price | None, _Price | None, str]:
    """Prefill price, decode price where words are generated, or why it would be a guess."""
    mean = sum(x.prompt for x in loads) / len(loads)
    prefills = [p for p in prices if p.row.metric == "energy_per_prompt_token"]
    if not prefills:
        return None, None, "no prefill window (point pp…) of this system has a measured energy"
    prefill = min(prefills, key=lambda p: abs(np.log(p.point.prompt_tokens / max(mean, 1))))
    stretch = prefill.point.prompt_tokens / max(mean, 1)
    if not 1 / MOST_STRETCH <= stretch <= MOST_STRETCH:
        why = (
            f"its prompts have {mean:.0f} tokens, the nearest prefill window is "
            f"{prefill.point.label}: too far to carry its energy per token over"
        )
        return None, None, why
    if not any(x.output for x in loads):
        return prefill, None, ""
    decodes = [
        p
        for p in prices
        if p.row.metric == "energy_per_token"
        and p.point.prompt_tokens == 1
        and p.row.scope == prefill.row.scope
    ]
    if not decodes:
        return None, None, "answers are generated, and no decode window (point tg…) has an energy"
    outputs = sum(x.output for x in loads) / len(loads)
    return prefill, min(decodes, key=lambda p: abs(p.point.output_tokens - outputs)), ""


def _load(output: ItemOutput) -> _Load:
    """Tokens that asking this item one by one takes: its context once, every continuation."""
    return _Load(*map(sum, zip(*_parts(output), strict=True)))


def _parts(output: ItemOutput) -> Iterator[tuple[int, int]]:
    scored = [o for o in output.outputs if isinstance(o, LoglikelihoodOutput)]
    yield max((o.context_tokens for o in scored), default=0), 0
    for one in output.outputs:
        if isinstance(one, GenerateOutput):
            yield one.prompt_tokens, len(one.token_ids)
        else:
            yield one.tokens, 0


def _none(n: int) -> Estimate:
    return Estimate(None, n, method="no value")
