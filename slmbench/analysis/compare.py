"""Every variant against its declared parent, on the same items, or a refusal that says why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from slmbench.analysis.columns import COMPARISON_COLUMNS, frame
from slmbench.analysis.paired import (
    Difference,
    Verdict,
    cost_difference,
    cost_verdict,
    paired_difference,
    quality_verdict,
)
from slmbench.analysis.results import Results
from slmbench.analysis.rows import JUDGED_OF, MetricRow
from slmbench.analysis.stability import Flag, joined
from slmbench.analysis.statistics import holm
from slmbench.errors import IncomparableRunsError, UsageError
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.spec import TaskSpec
from slmbench.store import StoredRun


@dataclass(frozen=True, slots=True)
class Delta:
    """One variant minus its parent in one metric of one task or workload."""

    row: MetricRow
    parent_row: MetricRow
    metric: str
    difference: Difference
    verdict: Verdict
    p_holm: float | None
    flags: tuple[Flag, ...]

    @property
    def variant(self) -> str:
        """Name of the variant."""
        return self.row.run.spec.variant.name

    @property
    def parent(self) -> str:
        """Name of what it is compared with."""
        return self.parent_row.run.spec.variant.name


@dataclass(frozen=True, slots=True)
class Refused:
    """A pair that was not compared, and why."""

    label: str
    parent: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome of :func:`compare_to_parents`."""

    deltas: tuple[Delta, ...]
    refused: tuple[Refused, ...]

    def table(self) -> pd.DataFrame:
        """One row a difference (``columns.COMPARISON_COLUMNS``)."""
        rows = [_table_row(d) for d in self.deltas]
        values = {
            c.name: [row[i] for row in rows] for i, c in enumerate(COMPARISON_COLUMNS)
        }  # same order as the declaration
        return frame(COMPARISON_COLUMNS, values)


def compare_to_parents(
    results: Results,
    *,
    variants: Collection[str] | None = None,
    against: str | None = None,
    metrics: Collection[str] | None = None,
    vary: str | Collection[str] = (),
    strict: bool = True,
) -> Comparison:
    """Differences of variants from their declared parent (or from ``against``).

    ``metrics`` defaults to the primary one of each task or workload. Quality is paired on item
    ids; p-values are Holm-adjusted within a suite. Runs on another backend are compared and
    flagged. Raises IncomparableRunsError when two runs differ in a field that ``vary`` does not
    name (``item_set``, ``num_fewshot``, ``chat_template``, ``machine``, ``threads``,
    ``device``, ``parent_digest``), or lists the pair in ``refused`` if not ``strict``; and
    UsageError for an unknown variant.
    """
    varied = {vary} if isinstance(vary, str) else set(vary)
    _known(results, [*(variants or ()), *([against] if against else [])])
    deltas: list[Delta] = []
    refused: list[Refused] = []
    for row in _wanted(results, variants, metrics):
        parent = against or row.run.spec.variant.parent
        if parent is None or parent == row.run.spec.variant.name:
            continue
        other = _counterpart(results.metric_rows, row, parent)
        label = f"{row.run.spec.label} · {row.metric}"
        if other is None:
            refused.append(Refused(label, parent, "the parent has no such result"))
            continue
        try:
            _same_where_it_matters(row, other, varied, check_digest=against is None)
            found = _delta(results, row, other)
        except IncomparableRunsError as error:
            if strict:
                raise
            refused.append(Refused(label, parent, error.message))
            continue
        if found is None:
            refused.append(Refused(label, parent, "no item was scored in both runs"))
        else:
            deltas.append(found)
    return Comparison(tuple(_adjusted(deltas)), tuple(refused))


def _known(results: Results, names: Sequence[str]) -> None:
    have = {run.spec.variant.name for run in results.stored}
    for name in names:
        if name not in have:
            raise UsageError(
                f"no results of variant {name!r} in {results.root}",
                hint=f"there are: {', '.join(sorted(have)) or 'none'}",
            )


def _wanted(
    results: Results, variants: Collection[str] | None, metrics: Collection[str] | None
) -> Iterator[MetricRow]:
    for row in results.metric_rows:
        if row.estimate.value is None or row.provenance is Provenance.ESTIMATED:
            continue
        if variants is not None and row.run.spec.variant.name not in variants:
            continue
        if row.primary if metrics is None else row.metric in metrics:
            yield row


def _counterpart(rows: Iterable[MetricRow], row: MetricRow, parent: str) -> MetricRow | None:
    """The parent's row of the same thing; the same target, backend and machine preferred."""
    mine = row.run.spec
    place = (row.metric, row.phase, row.point, row.scope)
    work = (mine.suite, mine.size, mine.work_name)

    def closeness(other: MetricRow) -> tuple[bool, bool, bool, bool, str]:
        spec = other.run.spec
        return (
            spec.variant.digest == mine.variant.parent_digest,
            spec.target.name == mine.target.name,
            spec.target.backend == mine.target.backend,
            other.run.record.machine == row.run.record.machine,
            other.run.record.run_id,
        )

    candidates = [
        other
        for other in rows
        if other.run.spec.variant.name == parent
        and (other.run.spec.suite, other.run.spec.size, other.run.spec.work_name) == work
        and (other.metric, other.phase, other.point, other.scope) == place
        and other.estimate.value is not None
    ]
    return max(candidates, key=closeness, default=None)


def _same_where_it_matters(
    row: MetricRow, other: MetricRow, varied: Collection[str], *, check_digest: bool
) -> None:
    for name, left, right in _matters(row.run, other.run):
        if left != right and name not in varied:
            raise IncomparableRunsError(name, right, left)
    wanted, found = row.run.spec.variant.parent_digest, other.run.spec.variant.digest
    if check_digest and wanted and wanted != found and "parent_digest" not in varied:
        raise IncomparableRunsError("parent_digest", found, wanted)


def _matters(left: StoredRun, right: StoredRun) -> Iterator[tuple[str, object, object]]:
    a, b = left.spec.work, right.spec.work
    if isinstance(a, TaskSpec) and isinstance(b, TaskSpec):
        yield "item_set", left.record.item_set, right.record.item_set
        yield "num_fewshot", a.num_fewshot, b.num_fewshot
        yield "chat_template", a.chat_template, b.chat_template
    else:
        yield "machine", left.record.machine, right.record.machine
        yield "device", left.spec.target.device, right.spec.target.device
        yield "threads", left.spec.target.threads, right.spec.target.threads


def _delta(results: Results, row: MetricRow, other: MetricRow) -> Delta | None:
    flags: list[Flag] = []
    if row.run.spec.target.backend != other.run.spec.target.backend:
        flags.append("backend differs")
    metric = JUDGED_OF.get(row.metric, row.metric)
    mine, theirs = results.judged(row.run) or {}, results.judged(other.run) or {}
    if isinstance(row.run.spec.work, TaskSpec) and metric in mine and metric in theirs:
        difference = paired_difference(theirs[metric], mine[metric])
        if difference is None:
            return None
        if difference.excluded:
            flags.append("unscored items")
        return Delta(row, other, metric, difference, "not resolved", None, tuple(flags))
    samples, base = samples_of(row), samples_of(other)
    if not samples or not base or other.estimate.value is None:
        return None
    difference = cost_difference(base, samples)
    verdict = cost_verdict(difference, other.estimate.value, row.direction)
    return Delta(row, other, metric, difference, verdict, None, (*flags, "one process"))


def samples_of(row: MetricRow) -> tuple[float, ...]:
    """The raw readings behind a measured row, in the order taken; empty for judged items."""
    return tuple(
        sample
        for phase in row.run.record.phases
        if phase.phase == row.phase
        for m in phase.measurements
        if (m.metric, m.point, m.scope) == (row.metric, row.point, row.scope)
        for sample in m.samples
    )


def _adjusted(deltas: Sequence[Delta]) -> Iterator[Delta]:
    """Holm within each suite's quality differences; verdicts follow from the adjusted p."""
    families: dict[str, list[int]] = {}
    for index, d in enumerate(deltas):
        if d.difference.p is not None:
            families.setdefault(d.row.run.spec.suite, []).append(index)
    adjusted: dict[int, float] = {}
    for members in families.values():
        p_values = holm([p for i in members if (p := deltas[i].difference.p) is not None])
        adjusted.update(zip(members, p_values, strict=True))
    for index, d in enumerate(deltas):
        if index in adjusted:
            verdict = quality_verdict(d.difference, adjusted[index], _direction(d.metric))
            yield replace(d, p_holm=adjusted[index], verdict=verdict)
        else:
            yield d


def _direction(metric: str) -> str:
    return METRICS[metric].direction if metric in METRICS else "none"


def _table_row(d: Delta) -> tuple[object, ...]:
    spec, parent, diff = d.row.run.spec, d.parent_row.run.spec, d.difference
    return (
        d.row.run.record.run_id, d.parent_row.run.record.run_id,
        d.variant, d.parent, spec.target.name, parent.target.name,
        spec.suite, spec.size, spec.work_name, d.metric, d.row.point,
        diff.delta, diff.low, diff.high, diff.n, diff.flips_up, diff.flips_down,
        diff.p, diff.p_method, d.p_holm, diff.mde, d.verdict,
        METRICS[d.metric].unit if d.metric in METRICS else None, _direction(d.metric),
        Provenance.DERIVED.value, joined(d.flags),
    )  # fmt: skip
