"""A results folder as tidy tables. Reading imports nothing that runs a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from slmbench.analysis.columns import (
    BASELINE_COLUMNS,
    IDENTITY,
    ITEM_COLUMNS,
    METRIC_COLUMNS,
    ROBUSTNESS_COLUMNS,
    RUN_COLUMNS,
    SAMPLE_COLUMNS,
    frame,
)
from slmbench.analysis.run_frames import (
    BASELINE_VALUES,
    ROBUSTNESS_VALUES,
    ROW_VALUES,
    run_frame,
    walk,
)
from slmbench.analysis.stored_results import StoredResults
from slmbench.errors import UsageError
from slmbench.metrics import METRICS
from slmbench.records import Status
from slmbench.store import StoredRun, read_store

if TYPE_CHECKING:
    from slmbench.analysis.compare import Comparison
    from slmbench.analysis.constructs.bias_flips import BiasFlips
    from slmbench.analysis.signature_rules.findings import Thresholds
    from slmbench.spec.experiment import Limits


@dataclass(frozen=True)
class Results(StoredResults):
    """What a results folder holds; every table is computed when it is first asked for."""

    def runs(self) -> pd.DataFrame:
        """One row a run: identity, ending, model, machine (``columns.RUN_COLUMNS``)."""
        values = {c.name: [walk(run, c.path) for run in self.all_runs] for c in RUN_COLUMNS}
        return frame(RUN_COLUMNS, values)

    def metrics(self) -> pd.DataFrame:
        """One row a number, long format (``columns.METRIC_COLUMNS``).

        A failed cell is one row: its primary metric, its status and reason, a null value.
        """
        return run_frame(METRIC_COLUMNS, self.metric_rows, lambda row: row.run, ROW_VALUES)

    def costs(self) -> pd.DataFrame:
        """Numbers of timed workloads with processes, steadiness, noise floor, observer's cost.

        One row a number (``cost_columns.COST_COLUMNS``).
        """
        from slmbench.analysis.cost_frames import cost_frame

        return cost_frame(self.metric_rows, self.timing_floor)

    def percentiles(self) -> pd.DataFrame:
        """p50, p90, p95 and p99 of latencies, per point or load, one row each.

        Tails only where the number of requests allows a 95 % interval; else the reason
        (``cost_columns.PERCENTILE_COLUMNS``).
        """
        from slmbench.analysis.cost_frames import percentile_frame
        from slmbench.analysis.percentiles import percentile_rows

        return percentile_frame(percentile_rows(self.metric_rows))

    def noise_floors(self) -> pd.DataFrame:
        """What `slmbench doctor --noise` found, one row a metric (``cost_columns``)."""
        from slmbench.analysis.cost_frames import noise_frame
        from slmbench.analysis.noise import noise_rows

        return noise_frame(noise_rows(self.noise))

    def samples(self) -> pd.DataFrame:
        """One row a raw reading of a meter, warm-up included (``columns.SAMPLE_COLUMNS``)."""
        rows = [
            (run, phase.phase, m, index, value)
            for run in self.stored
            for phase in run.record.phases
            for m in phase.measurements
            for index, value in enumerate(m.samples)
        ]
        getters: Mapping[str, Callable[[Any], object]] = {
            "phase": lambda r: r[1],
            "metric": lambda r: r[2].metric,
            "point": lambda r: r[2].point,
            "scope": lambda r: r[2].scope,
            "index": lambda r: r[3],
            "value": lambda r: r[4],
            "unit": lambda r: METRICS[r[2].metric].unit if r[2].metric in METRICS else None,
            "provenance": lambda r: r[2].provenance.value,
            "method": lambda r: r[2].method,
        }
        return run_frame(SAMPLE_COLUMNS, rows, lambda row: row[0], getters)

    def items(self) -> pd.DataFrame:
        """One row a judgement of one item (``columns.ITEM_COLUMNS``)."""
        rows = [
            (run, metric, j, i)
            for run in self.stored
            for metric, j in (self.judged(run) or {}).items()
            for i in range(len(j.items))
        ]
        getters: Mapping[str, Callable[[Any], object]] = {
            "item_id": lambda r: r[2].items[r[3]],
            "cluster": lambda r: r[2].clusters[r[3]],
            "group": lambda r: r[2].groups[r[3]],
            "metric": lambda r: r[1],
            "value": lambda r: r[2].values[r[3]],
            "failure": lambda r: r[2].failures[r[3]],
        }
        return run_frame(ITEM_COLUMNS, rows, lambda row: row[0], getters)

    def fidelity(self, parent: str | None = None) -> pd.DataFrame:
        """How close every variant is to its parent, one row a measure.

        Text (KL divergence and kin) and answers (flips, changes); see ``analysis.fidelity`` and
        ``columns.FIDELITY_COLUMNS``. ``parent``: compare with this variant instead.
        """
        from slmbench.analysis.fidelity import measure_fidelity

        return measure_fidelity(self, parent).table()

    def compare(
        self,
        *,
        parent: str | None = None,
        against: str = "parent",
        variants: Collection[str] | None = None,
        metrics: Collection[str] | None = None,
        vary: Collection[str] = (),
        margin: float | None = None,
    ) -> Comparison:
        """Paired differences of variants from their parent, their base, or one variant.

        ``against`` is ``parent``, ``base`` (the root of the lineage) or a variant's name;
        ``parent=NAME`` is another way to write the last. ``metrics``: the primary ones unless
        named. ``margin``: largest loss of a share that counts as none, instead of the suite's.
        Pairs that must not be compared are listed in ``refused``, unless the field that differs
        is in ``vary``. UsageError for an unknown variant, or both ``parent`` and ``against``.

        >>> comparison = load_results("results").compare(against="base")  # doctest: +SKIP
        >>> comparison.table()[["variant", "delta", "verdict", "lossless"]]  # doctest: +SKIP
        """
        from slmbench.analysis.compare import Asked, compare

        if parent is not None and against != "parent":
            raise UsageError("give parent or against, not both", hint="against=NAME is enough")
        asked = Asked(variants, parent or against, metrics, vary, margin, strict=False)
        return compare(self, asked)

    def calibration(self) -> pd.DataFrame:
        """Confidence of every multiple-choice run, one row a measure (``METRIC_COLUMNS``).

        Brier, NLL, calibration error with its simulated null and after temperature scaling,
        over-confidence, AUROC, selective accuracy, AURC and the parts of the Brier score.
        """
        rows = [row for found in self.calibrations for row in found.rows]
        return run_frame(METRIC_COLUMNS, rows, lambda row: row.run, ROW_VALUES)

    def constructs(self) -> pd.DataFrame:
        """Derived numbers of hallucination, bias, privacy …, one row each (``METRIC_COLUMNS``).

        ``scope`` names the group of items; empty: all of them.
        """
        return run_frame(METRIC_COLUMNS, self.construct_rows, lambda row: row.run, ROW_VALUES)

    def baselines(self) -> pd.DataFrame:
        """What shortcuts through the choices score beside every run (``BASELINE_COLUMNS``)."""
        return run_frame(BASELINE_COLUMNS, self.shortcuts, lambda row: row.run, BASELINE_VALUES)

    def robustness(self) -> pd.DataFrame:
        """What disturbed items cost each run, and its parent (``ROBUSTNESS_COLUMNS``)."""
        rows = self.disturbances
        return run_frame(ROBUSTNESS_COLUMNS, rows, lambda row: row.run, ROBUSTNESS_VALUES)

    def bias_flips(self) -> pd.DataFrame:
        """Stereotype probes: answers that changed from the parent, by group and direction.

        One row per run of a probe and group (``columns.BIAS_FLIP_COLUMNS``), with bits per weight.
        """
        from slmbench.analysis.constructs.flip_frame import flip_frame

        return flip_frame(self.flips)

    def scaling(self) -> pd.DataFrame:
        """How times grow with the context, one row a run and quantity.

        Non-negative fits of t = a + bT + cT² (``analysis.scaling_frames.SCALING_COLUMNS``).
        """
        from slmbench.analysis.scaling_curves import scalings
        from slmbench.analysis.scaling_frames import scaling_frame

        return scaling_frame(scalings(self.stored))

    def scaling_exponents(self) -> pd.DataFrame:
        """Local exponents dlog t / dlog T (``analysis.scaling_frames.EXPONENT_COLUMNS``)."""
        from slmbench.analysis.scaling_curves import scalings
        from slmbench.analysis.scaling_frames import exponent_frame

        return exponent_frame(scalings(self.stored))

    def energy(self) -> pd.DataFrame:
        """Figures of energy workloads with their grade (``energy_frames.ENERGY_COLUMNS``)."""
        from slmbench.analysis.energy import energy_rows
        from slmbench.analysis.energy_frames import energy_frame

        return energy_frame(energy_rows(self.metric_rows))

    def energy_agreement(self) -> pd.DataFrame:
        """Modelled over measured energy where windows have both, one row a run and point."""
        from slmbench.analysis.energy import agreement
        from slmbench.analysis.energy_frames import agreement_frame

        return agreement_frame(agreement(self.stored))

    def energy_information(self) -> pd.DataFrame:
        """Whether energy says more than time does, one row a machine, target, point and kind."""
        from slmbench.analysis.energy import information
        from slmbench.analysis.energy_frames import information_frame

        return information_frame(information(self.metric_rows))

    def energy_per_correct(self) -> pd.DataFrame:
        """Joules per right answer where they can be derived, or why not (``METRIC_COLUMNS``)."""
        from slmbench.analysis.energy_per_correct import energy_per_correct

        rows = energy_per_correct(self.metric_rows, self.judged_runs)
        return run_frame(METRIC_COLUMNS, rows, lambda row: row.run, ROW_VALUES)

    def sustained(self) -> pd.DataFrame:
        """Burst and sustained rates, and when the rate changed, one row a process and point."""
        from slmbench.analysis.energy_frames import sustained_frame
        from slmbench.analysis.sustained import sustained

        return sustained_frame(sustained(self.stored))

    def memory_fit(self) -> pd.DataFrame:
        """How memory grows with the context, one row a run, phase and counter.

        M(T) = a + bT, and b against the KV formula (``analysis.memory_frames.FIT_COLUMNS``).
        """
        from slmbench.analysis.memory_fit import memory_lines
        from slmbench.analysis.memory_frames import fit_frame

        return fit_frame(memory_lines(self.stored))

    def frontier(self) -> pd.DataFrame:
        """What fits below which memory limit (``analysis.memory_frames.FRONTIER_COLUMNS``)."""
        from slmbench.analysis.frontier import edges
        from slmbench.analysis.memory_frames import frontier_frame

        return frontier_frame(edges(self.stored))

    def retrieval(self) -> pd.DataFrame:
        """Keys found in long texts by length and depth (``analysis.long_context.GRID_COLUMNS``)."""
        from slmbench.analysis.long_context import grid_frame

        return grid_frame(self.judged_runs)

    def long_sequences(self) -> pd.DataFrame:
        """Instability on long sequences: yes, no or unknown, with what was seen.

        From retrieval and from likelihood by position (``analysis.long_context``).
        """
        from slmbench.analysis.long_context import symptom_frame, symptoms

        return symptom_frame(symptoms(self.construct_rows))

    def variants(self) -> pd.DataFrame:
        """One row a variant: what was done to which parent, at what cost, and what came of it.

        Of the runs, and of what they descend from (``analysis.variant_frame.VARIANT_COLUMNS``).
        """
        from slmbench.analysis.variant_frame import variant_frame

        return variant_frame(self)

    def signatures(self, thresholds: Thresholds | None = None) -> pd.DataFrame:
        """Failure signatures, one row a system and rule (``signatures.SIGNATURE_COLUMNS``).

        Accuracy collapse, stiffness, edge out of memory, instability on long texts, format loss,
        repetition loops, dead outputs: yes, no, not decidable or does not apply, with the numbers
        that decided. ``thresholds``: other limits than the usual ones.
        """
        from slmbench.analysis.signatures import find_signatures, signature_frame

        return signature_frame(find_signatures(self, thresholds) if thresholds else self.findings)

    def which_to_ship(
        self, limits: Limits | None = None, reference: str | None = None
    ) -> pd.DataFrame:
        """Which variant to ship under limits, one row a system (``shipping.SHIP_COLUMNS``).

        The cheapest that is non-inferior to ``reference`` (none: the root of its lineage) on every
        accuracy score, shows no failure signature of its own and keeps the limits comes first.
        """
        from slmbench.analysis.shipping import ship_frame
        from slmbench.analysis.which_to_ship import which_to_ship

        return ship_frame(which_to_ship(self, limits, reference))

    def gates(self) -> pd.DataFrame:
        """What the gates found, one row a number (``analysis.gates.COLUMNS``)."""
        from slmbench.analysis.gates import gate_frame

        return gate_frame(self.root)

    def attribution(self, *, variant: str | None = None, against: str = "base") -> pd.DataFrame:
        """Where quality differences come from, one row a part (``columns.ATTRIBUTION_COLUMNS``).

        Compression, runtime/kernel, tokenizer/BOS and chat template, by runs that stand between
        the two; what no run separates is named. ``against`` as in :meth:`compare`.
        """
        from slmbench.analysis.attribution import attribution, attribution_table

        return attribution_table(attribution(self, variant=variant, against=against))

    @cached_property
    def flips(self) -> tuple[BiasFlips, ...]:
        """The rows of :meth:`bias_flips` as typed values."""
        from slmbench.analysis.constructs.bias_flips import bias_flips

        return bias_flips(self)


def load_results(
    path: str | Path, *, every_run: bool = False, only: Collection[str] | None = None
) -> Results:
    """Read a results folder. Needs no engine; UsageError when there is no such folder.

    ``only``: keep the cells with these digests. Per cell and machine only one run is kept
    unless ``every_run``: the newest that ended ok, else the newest. Damaged folders are set
    aside in ``quarantined``.
    """
    root = Path(path)
    if not root.is_dir():
        raise UsageError(
            f"no results folder at {root}", hint="`slmbench run` or `slmbench demo` make one"
        )
    contents = read_store(root)
    wanted = [r for r in contents.runs if only is None or r.record.digest in only]
    runs = tuple(wanted) if every_run else latest(wanted)
    return Results(
        root,
        tuple(r for r in runs if not r.spec.is_baseline),
        contents.quarantined,
        contents.skips,
        contents.suites,
        tuple(r for r in runs if r.spec.is_baseline),
        contents.variants,
    )


def latest(runs: Iterable[StoredRun]) -> tuple[StoredRun, ...]:
    """One run per digest and machine: the newest that ended ok, else the newest."""
    best: dict[tuple[str, str], StoredRun] = {}
    for run in runs:
        key = (run.record.digest, run.record.machine)
        if key not in best or _rank(run) >= _rank(best[key]):
            best[key] = run
    return tuple(best.values())


def _rank(run: StoredRun) -> tuple[bool, str]:
    return run.record.status is Status.OK, run.record.run_id


__all__ = ["IDENTITY", "Results", "latest", "load_results"]
