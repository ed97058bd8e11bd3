"""Every variant against its parent, its base or another, on the same items, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from slmbench.analysis.columns import COMPARISON_COLUMNS, frame
from slmbench.analysis.comparison_rows import table_row
from slmbench.analysis.cost_pairs import cost_pair
from slmbench.analysis.equivalence import MARGIN, Equivalence, equivalence, words
from slmbench.analysis.paired import (
    Difference,
    Verdict,
    cost_verdict,
    inside_floor,
    paired_difference,
    quality_verdict,
)
from slmbench.analysis.pairing import (
    BASE,
    PARENT,
    Lineages,
    Reference,
    counterpart,
    same_where_it_matters,
)
from slmbench.analysis.recovery import Ratio, recovered_share, retention
from slmbench.analysis.results import Results
from slmbench.analysis.rows import JUDGED_OF, Judged, MetricRow
from slmbench.analysis.stability import Flag
from slmbench.analysis.statistics import holm
from slmbench.analysis.stopped import after_looks, looks_of
from slmbench.errors import IncomparableRunsError, UsageError
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.spec import TaskSpec, WorkloadSpec

_DISTRUSTED: frozenset[str] = frozenset({"suspect"})
"""Flags of a row of which nothing may be concluded."""


@dataclass(frozen=True, slots=True)
class Delta:
    """One variant minus its reference in one metric of one task or workload."""

    row: MetricRow
    parent_row: MetricRow
    metric: str
    difference: Difference
    verdict: Verdict
    p_holm: float | None
    flags: tuple[Flag, ...]
    reference: str = PARENT
    """``parent``, ``base``, or ``named`` for one chosen by name."""
    equivalence: Equivalence | None = None
    """Whether the loss is within the margin; None for costs and for suspect rows."""
    recovered: Ratio | None = None
    """Against the parent, two or more steps from the root: share of the parent's loss undone."""
    retention: Ratio | None = None
    """Share of the reference's score above chance that is left; None for costs."""
    floor: float | None = None
    """Costs: log ratio that this machine shows without any difference; None where not measured."""

    @property
    def why(self) -> str:
        """What is to be said beside the verdict: that the change is inside the noise floor."""
        if self.floor is None or "inside noise floor" not in self.flags:
            return ""
        return f"inside this machine's noise floor of {100 * math.expm1(self.floor):.1f} %"

    @property
    def variant(self) -> str:
        """Name of the variant."""
        return self.row.run.spec.variant.name

    @property
    def parent(self) -> str:
        """Name of what it is compared with."""
        return self.parent_row.run.spec.variant.name

    @property
    def direction(self) -> str:
        """Which way is better; ``none`` for an unknown metric."""
        return METRICS[self.metric].direction if self.metric in METRICS else "none"

    @property
    def unit(self) -> str:
        """Unit of the difference; empty for an unknown metric."""
        return METRICS[self.metric].unit if self.metric in METRICS else ""

    @property
    def lossless(self) -> str:
        """The equivalence test in words; empty where there is none."""
        e = self.equivalence
        return "" if e is None else words(e, self.unit, self.direction)


@dataclass(frozen=True, slots=True)
class Refused:
    """A pair that was not compared, and why."""

    label: str
    parent: str
    reason: str
    row: MetricRow | None = None
    """The variant's row that found no partner."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences that form one family: all against the parent, the base, or one variant."""

    deltas: tuple[Delta, ...]
    refused: tuple[Refused, ...]

    def table(self) -> pd.DataFrame:
        """One row a difference (``columns.COMPARISON_COLUMNS``)."""
        rows = [table_row(d) for d in self.deltas]
        return frame(
            COMPARISON_COLUMNS, {c.name: [row[c.name] for row in rows] for c in COMPARISON_COLUMNS}
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """Which differences are wanted."""

    variants: Collection[str] | None = None
    """Only these; None: all."""
    against: str = PARENT
    """``parent``, ``base`` (the root of the lineage) or the name of a variant."""
    metrics: Collection[str] | None = None
    """None: the primary one of each task or workload."""
    vary: Collection[str] = ()
    """Fields in which the two runs may differ."""
    margin: float | None = None
    """Largest loss of a share that counts as none, instead of the suite's."""
    strict: bool = True
    """Raise on two runs that must not be compared, instead of listing the pair."""


def compare(results: Results, asked: Asked) -> Comparison:
    """Differences of variants from what ``asked.against`` says.

    Quality is paired on item ids; p-values are Holm-adjusted within a suite, and a comparison
    against the parents is another family than one against the bases. Runs on another backend are
    compared and flagged. Raises IncomparableRunsError when two runs differ in a field that
    ``vary`` does not name (``item_set``, ``num_fewshot``, ``chat_template``, ``machine``,
    ``threads``, ``device``, ``parent_digest``), or lists the pair in ``refused`` if not
    ``strict``; and UsageError for an unknown variant.
    """
    named = [] if asked.against in (PARENT, BASE) else [asked.against]
    _known(results, [*(asked.variants or ()), *named])
    lineages = Lineages.of(results.stored)
    pairer = _Pairer(results, asked, lineages, _by_variant(results))
    found = [
        pairer.pair(row, reference)
        for row in wanted_rows(results, asked)
        if (reference := lineages.reference(row.run.spec.variant, asked.against)) is not None
    ]
    deltas = [d for d in found if isinstance(d, Delta)]
    refused = tuple(r for r in found if isinstance(r, Refused))
    return Comparison(tuple(_adjusted(deltas)), refused)


def compare_to_parents(
    results: Results,
    *,
    variants: Collection[str] | None = None,
    against: str | None = None,
    metrics: Collection[str] | None = None,
    vary: str | Collection[str] = (),
    strict: bool = True,
) -> Comparison:
    """:func:`compare` with each variant's declared parent (or with ``against``)."""
    varied = (vary,) if isinstance(vary, str) else tuple(vary)
    return compare(
        results, Asked(variants, against or PARENT, metrics, varied, None, strict=strict)
    )


def _known(results: Results, names: Sequence[str]) -> None:
    have = {run.spec.variant.name for run in results.stored}
    for name in names:
        if name not in have:
            raise UsageError(
                f"no results of variant {name!r} in {results.root}",
                hint=f"there are: {', '.join(sorted(have)) or 'none'}",
            )


def wanted_rows(results: Results, asked: Asked) -> Iterator[MetricRow]:
    """The rows whose differences are asked for. What compares two models already is left out."""
    for row in results.metric_rows:
        work = row.run.spec.work
        if row.estimate.value is None or row.provenance is Provenance.ESTIMATED:
            continue
        if isinstance(work, WorkloadSpec) and not work.timed:
            continue
        if asked.variants is not None and row.run.spec.variant.name not in asked.variants:
            continue
        if row.primary if asked.metrics is None else row.metric in asked.metrics:
            yield row


def _by_variant(results: Results) -> Mapping[str, list[MetricRow]]:
    found: dict[str, list[MetricRow]] = {}
    for row in results.metric_rows:
        found.setdefault(row.run.spec.variant.name, []).append(row)
    return found


@dataclass(frozen=True, slots=True)
class _Pairer:
    """Finds partners and makes differences."""

    results: Results
    asked: Asked
    lineages: Lineages
    rows: Mapping[str, list[MetricRow]]

    def pair(self, row: MetricRow, reference: Reference) -> Delta | Refused:
        """The difference, or why there is none."""
        label = f"{row.run.spec.label} · {row.metric}"
        other = counterpart(self.rows.get(reference.name, ()), row, reference)
        if other is None:
            kind = self.asked.against if self.asked.against in (PARENT, BASE) else reference.name
            who = f"the {kind}" if kind in (PARENT, BASE) else kind
            return Refused(label, reference.name, f"{who} has no such result", row)
        try:
            same_where_it_matters(row, other, reference, self.asked.vary)
        except IncomparableRunsError as error:
            if self.asked.strict:
                raise
            return Refused(label, reference.name, error.message, row)
        found = self._delta(row, other)
        if found is None:
            return Refused(label, reference.name, "no item was scored in both runs", row)
        return found

    def _delta(self, row: MetricRow, other: MetricRow) -> Delta | None:
        metric = JUDGED_OF.get(row.metric, row.metric)
        mine, theirs = self._judged(row, metric), self._judged(other, metric)
        if mine is not None and theirs is not None:
            difference = paired_difference(theirs, mine)
            if difference is None:
                return None
            difference = after_looks(difference, row.run, other.run, metric, (theirs, mine))
            flags: tuple[Flag, ...] = ("sequential",) if looks_of(row.run, other.run) else ()
            made = self._made(row, other, difference, "not resolved", *flags)
            return self._with_ratios(made, theirs, mine)
        return self._cost(row, other)

    def _cost(self, row: MetricRow, other: MetricRow) -> Delta | None:
        pair = cost_pair(other, row)
        if pair is None or other.estimate.value is None:
            return None
        floor = self.results.timing_floor(row, pair.rounds)
        verdict = cost_verdict(pair.difference, other.estimate.value, row.direction, floor)
        flags = pair.flags
        if inside_floor(pair.difference, floor):
            flags = (*flags, "inside noise floor")
        return replace(self._made(row, other, pair.difference, verdict, *flags), floor=floor)

    def _judged(self, row: MetricRow, metric: str) -> Judged | None:
        if not isinstance(row.run.spec.work, TaskSpec):
            return None
        return (self.results.judged(row.run) or {}).get(metric)

    def _made(
        self, row: MetricRow, other: MetricRow, found: Difference, verdict: Verdict, *flags: Flag
    ) -> Delta:
        seen: list[Flag] = []
        if row.run.spec.target.backend != other.run.spec.target.backend:
            seen.append("backend differs")
        if found.excluded:
            seen.append("unscored items")
        doubted: list[Flag] = [f for f in (*row.flags, *other.flags) if f in _DISTRUSTED]
        against = self.asked.against
        return Delta(
            row,
            other,
            JUDGED_OF.get(row.metric, row.metric),
            found,
            "not resolved" if doubted else verdict,
            None,
            tuple(dict.fromkeys((*seen, *flags, *doubted))),
            against if against in (PARENT, BASE) else "named",
        )

    def _with_ratios(self, d: Delta, theirs: Judged, mine: Judged) -> Delta:
        """Everything else that the pairs tell; nothing is concluded from suspect rows."""
        if not trusted(d):
            return d
        margin = margin_of(self.results, d.row, self.asked.margin)
        chance = d.row.chance if d.metric == d.row.metric else None
        return replace(
            d,
            equivalence=equivalence(d.difference, margin, d.direction) if margin else None,
            recovered=self._recovered(d, theirs, mine),
            retention=retention(theirs, mine, chance, d.parent_row.estimate),
        )

    def _recovered(self, d: Delta, damaged: Judged, recovered: Judged) -> Ratio | None:
        ref = d.row.run.spec.variant
        root = self.lineages.base(ref)
        if d.reference != PARENT or root is None or root.name == ref.parent:
            return None
        base_row = counterpart(self.rows.get(root.name, ()), d.row, root)
        base = None if base_row is None else self._judged(base_row, d.metric)
        if base_row is None or base is None:
            return Ratio(None, reason=f"the base {root.name} has no such result")
        try:
            same_where_it_matters(d.row, base_row, root, self.asked.vary)
        except IncomparableRunsError as error:
            return Ratio(None, reason=f"the base {root.name}: {error.message}")
        if _DISTRUSTED & set(base_row.flags):
            return Ratio(None, reason=f"the base {root.name} is suspect")
        return recovered_share(base, damaged, recovered, d.direction)


def trusted(d: Delta) -> bool:
    """Whether anything may be concluded from the two rows."""
    return not _DISTRUSTED & set(d.flags)


def margin_of(results: Results, row: MetricRow, override: float | None) -> float | None:
    """Largest loss that counts as none: as asked, else of the suite file, else one point.

    The suite speaks about the primary metric of its task, in that metric's unit; what is asked
    for and the one point apply to shares only. None: no margin is known.
    """
    is_share = row.unit == "fraction"
    if override is not None and is_share:
        return override
    if row.primary:
        for suite in results.suites:
            if suite.name == row.run.spec.suite:
                tasks = [t for t in suite.tasks if t.task == row.run.spec.work_name]
                declared = next((t.margin for t in tasks if t.margin is not None), None)
                if declared is not None:
                    return declared
    return MARGIN if is_share else None


def _adjusted(deltas: Sequence[Delta]) -> Iterator[Delta]:
    """Holm within each suite's quality differences; verdicts follow from the adjusted p.

    Suspect rows stay out of the family: no claim is made about them.
    """
    families: dict[str, list[int]] = {}
    for index, d in enumerate(deltas):
        if d.difference.p is not None and trusted(d):
            families.setdefault(d.row.run.spec.suite, []).append(index)
    adjusted: dict[int, float] = {}
    for members in families.values():
        p_values = holm([p for i in members if (p := deltas[i].difference.p) is not None])
        adjusted.update(zip(members, p_values, strict=True))
    for index, d in enumerate(deltas):
        if index in adjusted:
            verdict = quality_verdict(d.difference, adjusted[index], d.direction)
            yield replace(d, p_holm=adjusted[index], verdict=verdict)
        else:
            yield d
