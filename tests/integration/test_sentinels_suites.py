"""A dead model never looks good on any metric of any suite.

Every task of the quality suites is answered by models that know nothing (``sentinel_model``);
scorers, derived numbers, calibration and robustness are made as for real runs, and every number
that has a better side is held against :data:`sentinel_bounds.BOUNDS`: what a dead model may reach
at best. A metric with a better side and without an entry fails: whoever adds one says there what
it is worth when it comes from nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

import builders as b
from published_data import FOLDER
from sentinel_bounds import BOUNDS, STATED
from sentinel_model import MODES, Mode, answers
from slmbench.analysis import Results, load_results
from slmbench.analysis.baselines import item_baselines, usable_items
from slmbench.analysis.chance import chance_level
from slmbench.analysis.constructs.bootstrap import bootstrapped
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.sentinels import sentinels
from slmbench.data.catalogue import by_hub
from slmbench.data.providers import fetch
from slmbench.errors import MissingDataError
from slmbench.metrics import METRICS
from slmbench.metrics.bias import BIAS
from slmbench.metrics.calibration import CALIBRATION
from slmbench.metrics.hallucination import HALLUCINATION
from slmbench.metrics.privacy import PRIVACY
from slmbench.metrics.quality import QUALITY
from slmbench.metrics.robustness import ROBUSTNESS
from slmbench.requests import ItemOutput, ItemSet, LoglikelihoodOutput
from slmbench.spec import SuiteTask, TaskSpec
from slmbench.spec.load import load_suite
from slmbench.store import FinishedRun, save_items, seal
from slmbench.tasks.definitions import dataset_of, define
from slmbench.tasks.scorers import score
from stock_items import load_tasks_once

SUITES = ("accuracy", "hallucination", "bias", "robustness", "privacy")
ITEMS = 80
Z = 3.3
"""How far beyond a bound chance may reach [standard errors]: the sentinels are fixed, so a false
alarm would stay."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One task of one suite."""

    suite: str
    task: SuiteTask

    @property
    def name(self) -> str:
        return f"{self.suite}-{self.task.task}"

    @property
    def own(self) -> bool:
        """Whether its data ship with slmbench."""
        return define(self.task.task).data_file is not None


def _tasks() -> Iterator[object]:
    for suite in SUITES:
        for task in load_suite(suite).tasks:
            asked = Asked(suite, task)
            marks = [pytest.mark.engine] if asked.own else [pytest.mark.engine, pytest.mark.network]
            yield pytest.param(asked, id=asked.name, marks=marks)


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data beside the checkout where there are any; bootstraps that are wide enough here."""
    load_tasks_once(monkeypatch)
    if FOLDER is not None:
        monkeypatch.setenv("SLMBENCH_DATA", str(FOLDER))
    monkeypatch.setitem(bootstrapped.__kwdefaults__, "draws", 60)  # type: ignore[arg-type]


def test_every_metric_with_a_better_side_has_a_bound() -> None:
    ranked = {
        m.name
        for m in (*QUALITY, *HALLUCINATION, *BIAS, *PRIVACY, *ROBUSTNESS, *CALIBRATION)
        if m.direction != "none"
    }
    assert ranked - BOUNDS.keys() == set(), "say what a dead model may reach in them at best"
    for name, bound in BOUNDS.items():
        assert name in METRICS
        for other in (bound.pays, bound.beside):
            assert not other or (other in BOUNDS and not BOUNDS[other].beside)


@pytest.mark.parametrize("asked", list(_tasks()))
def test_no_sentinel_looks_good(asked: Asked, tmp_path: Path) -> None:
    items, results = _answered(asked, tmp_path)
    rows = _by_mode(results)
    assert set(rows) == set(MODES)
    assert all(rows[mode] for mode in MODES)
    assert _alive(rows["nan"]) == []
    faults = [
        f"{mode}: {fault}"
        for mode in MODES
        for row in rows[mode]
        if (fault := _fault(row, mode, rows[mode], items))
    ]
    assert faults == []


@pytest.mark.engine
def test_a_model_that_knows_would_be_noticed(tmp_path: Path) -> None:
    """The right choice is preferred: bounds that this passes would let anything pass."""
    asked = next(
        Asked("hallucination", task)
        for task in load_suite("hallucination").tasks
        if task.task == "slm_counterfactual_context"
    )
    spec = _spec(asked.task, None)
    items = _items(spec)
    outputs = [
        ItemOutput(
            item_id=item.item_id,
            outputs=tuple(
                LoglikelihoodOutput(
                    logprob=-1.0 if place == item.gold else -99.0, tokens=1, context_tokens=1
                )
                for place in range(len(item.requests))
            ),
        )
        for item in items.items
    ]
    _seal(tmp_path, asked, spec, items, "random", outputs)
    rows = _by_mode(load_results(tmp_path))["random"]
    caught = {row.metric for row in rows if _fault(row, "random", rows, items)}
    assert {"context_faithful", "parametric_rate"} <= caught


def _answered(asked: Asked, root: Path) -> tuple[ItemSet, Results]:
    """The items, and every sentinel's run of the task and of its disturbances."""
    sets = []
    for how in (None, *asked.task.perturb):
        spec = _spec(asked.task, how)
        items = _items(spec)
        sets.append(items)
        for mode in MODES:
            _seal(root, asked, spec, items, mode, answers(items, mode))
    return sets[0], load_results(root)


def _spec(task: SuiteTask, how: str | None) -> TaskSpec:
    return TaskSpec.model_validate(
        {
            "task": task.task,
            "primary": task.primary,
            "num_fewshot": task.num_fewshot,
            "chat_template": task.chat_template,
            "items": ITEMS,
            "seed": 1234,
            "perturb": how,
        }
    )


def _seal(
    root: Path,
    asked: Asked,
    spec: TaskSpec,
    items: ItemSet,
    mode: Mode,
    outputs: Sequence[ItemOutput],
) -> None:
    cell = b.cell(b.variant(mode), spec, suite=asked.suite)
    record = b.record(cell, item_set=save_items(root, items), items_total=len(items.items))
    rows = tuple(score(items, outputs))
    run = FinishedRun(cell, b.environment(), record, tuple(outputs), rows, items.scorer)
    seal(root, run)


def _items(spec: TaskSpec) -> ItemSet:
    from slmbench.tasks.lm_eval_bridge import LocalData, build_items

    wanted = dataset_of(spec.task)
    known = by_hub(*wanted) if wanted is not None else None
    if known is None:
        return build_items(spec, None)
    try:
        found = fetch(known.name)
    except MissingDataError as error:
        pytest.skip(f"no data of {known.name} here: {error.message}")
    data = LocalData(
        found.path, found.source, found.sha256, found.licence, known.strata, known.cluster
    )
    return build_items(spec, data)


def _by_mode(results: Results) -> dict[Mode, list[MetricRow]]:
    """Every number of all items (not of groups), by the model that it is of."""
    found: dict[Mode, list[MetricRow]] = {}
    calibrated = (row for one in results.calibrations for row in one.rows)
    for row in (*results.metric_rows, *results.construct_rows, *calibrated):
        if not row.scope or row.run.spec.is_baseline:
            found.setdefault(row.run.spec.variant.name, []).append(row)  # type: ignore[arg-type]
    return found


def _alive(rows: Sequence[MetricRow]) -> list[str]:
    """Scores of a model whose numbers are all NaN: there must be none."""
    return [
        f"{row.metric}: {row.estimate.value}"
        for row in rows
        if row.direction != "none"
        and row.estimate.value is not None
        and row.metric not in ("sample_failure_rate", "extraction_failure_rate")
    ]


def _fault(row: MetricRow, mode: Mode, rows: Sequence[MetricRow], items: ItemSet) -> str:
    """Why this number is better than it should be; empty when it is not."""
    value, metric = row.estimate.value, row.metric
    if value is None or row.direction == "none" or BOUNDS[metric].beside:
        return ""
    best, why = STATED.get((items.task, metric, mode), (_best(row, items), ""))
    sign = 1 if row.direction == "higher" else -1
    if sign * (value - best) <= (0 if why else _slack(row, sign)) + 1e-6:
        return ""
    if pays := BOUNDS[metric].pays:
        others = [r for r in rows if r.metric == pays and r.estimate.value is not None]
        if others and not any(_fault(r, mode, [], items) for r in others):
            return ""
    return f"{metric} is {value:.3f}, expected at best {best:.3f} {why}"


def _slack(row: MetricRow, sign: int) -> float:
    """What chance explains: the interval's arm towards the bound, made wider."""
    estimate = row.estimate
    assert estimate.value is not None
    end = estimate.low if sign > 0 else estimate.high
    if end is None:
        return Z * (estimate.se or 0.5 / math.sqrt(max(1, estimate.n)))
    return Z / 1.96 * abs(estimate.value - end)


def _best(row: MetricRow, items: ItemSet) -> float:
    """What nothing is worth in this metric on these items."""
    bound = BOUNDS[row.metric]
    if bound.best is not None:
        return bound.best
    counts = [len(i.choices) for i in usable_items(items)]
    if row.metric == "brier":
        return math.fsum(1 - 1 / k for k in counts) / len(counts)
    if row.metric == "choice_nll":
        return math.fsum(math.log(k) for k in counts) / len(counts)
    known = [
        c for c in (_chance(row.metric, items), *_shortcuts(row.metric, items)) if c is not None
    ]
    if row.metric == "aurc":
        return 1 - max(known)
    return min(known) if row.direction == "lower" else max(known)


def _chance(metric: str, items: ItemSet) -> float | None:
    if metric in ("perturbed_acc", "selective_acc_50", "selective_acc_80", "aurc"):
        metric = "acc"
    level = chance_level(metric, items.items)
    rule = METRICS[metric].chance
    return float(Fraction(rule)) if level is None and "/" in rule and rule[0].isdigit() else level


def _shortcuts(metric: str, items: ItemSet) -> Iterator[float]:
    """Through a set with right answers; elsewhere what lengths alone get by the same scorer."""
    if found := [x.estimate.value for x in item_baselines(items) if x.estimate.value is not None]:
        if not metric.endswith("auroc"):
            yield from found
        return
    if not BOUNDS[metric].by_length:
        return
    for one in sentinels(items):
        column = one.judged.get(metric if metric != "stereoset_lms" else "stereoset_lms_item")
        if one.name == "longest answer" and column is not None:
            values = [v for v in column.values if v is not None]
            if values:
                yield math.fsum(values) / len(values)
