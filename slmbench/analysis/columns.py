"""The columns of every table that ``Results`` makes: source, type, unit, meaning.

``path`` says where a value is read: a dotted path from a stored run (``spec.variant.name``,
``record.status``), from one phase of it (``phase.phase``), one measurement
(``measurement.point``), one judged item (``score.item_id``) or the metrics table
(``metric.unit``). ``=name`` marks a value that is computed on reading, and by what.
A test walks the record types to prove that each path exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

Dtype = Literal["string", "Float64", "Int64", "boolean"]
"""pandas extension types: a missing value is ``pd.NA``, never NaN."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    path: str
    """Where the value comes from (see the module's docstring)."""
    dtype: Dtype
    description: str
    unit: str = ""
    """``of metric``: the unit that the row's ``unit`` column names."""


def _text(name: str, path: str, description: str) -> Column:
    return Column(name, path, "string", description)


IDENTITY: tuple[Column, ...] = (
    _text("run_id", "record.run_id", "when and where the run took place"),
    _text("digest", "record.digest", "SHA-256 of the RunSpec: what was run"),
    _text("machine", "record.machine", "fingerprint of the machine"),
    _text("suite", "spec.suite", "suite name"),
    _text("size", "spec.size", "demo, standard or full"),
    _text("variant", "spec.variant.name", "variant name"),
    _text("variant_digest", "spec.variant.digest", "digest of the artefact or of its recipe"),
    _text("parent", "spec.variant.parent", "declared parent variant; null for a root"),
    _text("stage", "spec.variant.stage", "lifecycle stage"),
    _text("technique", "spec.variant.technique", "what was done to the parent"),
    _text("format", "spec.variant.format", "gguf, hf or fake"),
    _text("target", "spec.target.name", "target name"),
    _text("backend", "spec.target.backend", "inference engine"),
    _text("device", "spec.target.device", "cpu, cuda …"),
    Column("threads", "spec.target.threads", "Int64", "compute threads", "count"),
    _text("dtype", "spec.target.dtype", "compute type asked for"),
    _text("task", "spec.work_name", "task or workload"),
)

RUN_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _text("kind", "spec.work.kind", "task or workload"),
    _text("status", "record.status", "how the cell ended"),
    _text("reason", "record.reason", "why it did not end ok"),
    _text("signal", "record.signal", "signal that ended the worker"),
    _text("hint", "record.hint", "what to try next"),
    _text("started_utc", "record.started_utc", "ISO 8601"),
    _text("ended_utc", "record.ended_utc", "ISO 8601"),
    Column("phases_s", "=run_frames.phase_seconds", "Float64", "sum of the phases' durations", "s"),
    Column("timeout_s", "spec.timeout_s", "Float64", "hard limit of the cell", "s"),
    Column("items_total", "record.items_total", "Int64", "items asked", "count"),
    Column("items_failed", "record.items_failed", "Int64", "items with a failed answer", "count"),
    _text("item_set", "record.item_set", "digest of the item set"),
    Column(
        "straddles",
        "=run_frames.straddles",
        "Int64",
        "answers in which a token crossed from context to continuation",
        "count",
    ),
    _text("artefact_sha256", "record.model.artefact_sha256", "digest of the artefact as loaded"),
    Column("artefact_bytes", "record.model.artefact_bytes", "Int64", "size on disk", "bytes"),
    Column("weight_bytes", "record.model.weight_bytes", "Int64", "weights as stored", "bytes"),
    Column("parameters", "record.model.parameters", "Int64", "tied weights once", "count"),
    Column(
        "bits_per_weight",
        "record.model.bits_per_weight",
        "Float64",
        "effective: scales, embeddings and head included",
        "bits",
    ),
    Column("layers", "record.model.layers", "Int64", "decoder layers", "count"),
    _text("kernel", "record.model.kernel", "real or simulated arithmetic"),
    _text("engine_version", "record.model.engine_version", "engine as it names itself"),
    _text("cpu", "environment.cpu.model", "processor"),
    Column("usable_cores", "environment.cpu.usable_cores", "Int64", "cores the worker may use"),
    Column("memory_bytes", "environment.memory_bytes", "Int64", "memory of the machine", "bytes"),
    _text("os_kernel", "environment.kernel", "kernel"),
    _text("python", "environment.python", "Python version"),
    _text("git_commit", "environment.git_commit", "commit of slmbench, where known"),
    _text("slmbench_version", "record.slmbench_version", "version that made the record"),
    Column("observer_cpu_s", "record.observer.supervisor_cpu_s", "Float64", "supervisor", "s"),
    Column("observer_memory", "record.observer.supervisor_rss_bytes", "Int64", "of it", "bytes"),
    Column("workers_s", "record.observer.wall_s", "Float64", "first start to last end", "s"),
    Column("meters_s", "record.observer.meters_s", "Float64", "meters outside phases", "s"),
    Column("read_bandwidth", "record.peaks.read_bandwidth", "Float64", "measured", "bytes/s"),
    Column("llc_bytes", "record.peaks.llc_bytes", "Int64", "last-level cache", "bytes"),
    _text("note", "spec.variant.note", "what a reader must know about the variant"),
)

METRIC_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _text("metric", "metric.name", "key of the metrics table"),
    Column("primary", "=tables.primary", "boolean", "stands for its task or workload"),
    _text("phase", "phase.phase", "phase that it was read in; empty for judged items"),
    _text("point", "measurement.point", "workload point, e.g. pp128+tg32"),
    _text("scope", "measurement.scope", "what the number covers"),
    Column("value", "=statistics", "Float64", "aggregate of the raw samples", "of metric"),
    Column("ci_low", "=statistics", "Float64", "lower end of the 95 % interval", "of metric"),
    Column("ci_high", "=statistics", "Float64", "upper end of the 95 % interval", "of metric"),
    Column("se", "=statistics", "Float64", "standard error (means only)", "of metric"),
    _text("ci_method", "=statistics", "how the interval was made, or why there is none"),
    Column("n", "=statistics", "Int64", "samples behind the value", "count"),
    Column("processes", "=processes", "Int64", "processes behind the value; 0: none", "count"),
    Column("n_failed", "=tables", "Int64", "items that could not be scored", "count"),
    Column("chance", "=chance", "Float64", "value expected from guessing", "of metric"),
    _text("unit", "metric.unit", "unit of value and interval"),
    _text("direction", "metric.direction", "higher, lower or none is better"),
    _text("provenance", "measurement.provenance", "measured, derived, estimated, unavailable"),
    _text("method", "measurement.method", "counter, sampled, modelled or derived"),
    _text("status", "record.status", "how the cell ended"),
    _text(
        "reason", "measurement.reason", "why there is no value, only an estimate, or a suspect one"
    ),
    _text("flags", "=stability", "what makes the number shaky, joined by '; '"),
    _text("stability", "=steadiness", "steady, noisy, drifting or disturbed (timings, energy)"),
    _text("stability_reason", "=steadiness", "what that word rests on"),
    Column("bits_per_weight", "record.model.bits_per_weight", "Float64", "effective bits", "bits"),
    _text("item_set", "record.item_set", "digest of the item set"),
)

_READING: tuple[Column, ...] = (
    _text("phase", "phase.phase", "phase that it was read in"),
    _text("metric", "measurement.metric", "key of the metrics table"),
    _text("point", "measurement.point", "workload point"),
    _text("scope", "measurement.scope", "what the number covers"),
    Column("index", "=position", "Int64", "order in which it was read", "count"),
    Column("value", "measurement.samples", "Float64", "one raw reading", "of metric"),
    _text("unit", "metric.unit", "unit of value"),
    _text("provenance", "measurement.provenance", "measured, derived or estimated"),
    _text("method", "measurement.method", "counter, sampled, modelled or derived"),
)
SAMPLE_COLUMNS: tuple[Column, ...] = (*IDENTITY, *_READING)

ITEM_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _text("item_id", "score.item_id", "item, the same id in every run"),
    _text("cluster", "score.cluster", "items of one cluster are not independent"),
    _text("group", "score.group", "subgroup"),
    _text("metric", "score.metric", "key of the metrics table"),
    Column("value", "score.value", "Float64", "judgement; null when unscored", "of metric"),
    _text("failure", "score.failure", "why it could not be scored"),
)


COMPARISON_COLUMNS: tuple[Column, ...] = (
    _text("run_id", "record.run_id", "run of the variant"),
    _text("parent_run_id", "record.run_id", "run of the parent"),
    _text("variant", "spec.variant.name", "variant name"),
    _text("parent", "spec.variant.parent", "what it is compared with"),
    _text("reference", "=compare", "parent, base (root of the lineage), or named"),
    _text("target", "spec.target.name", "target of the variant's run"),
    _text("parent_target", "spec.target.name", "target of the parent's run"),
    _text("suite", "spec.suite", "suite; p-values are adjusted within it"),
    _text("size", "spec.size", "demo, standard or full"),
    _text("task", "spec.work_name", "task or workload"),
    _text("metric", "metric.name", "key of the metrics table"),
    _text("point", "measurement.point", "workload point"),
    Column("delta", "=paired", "Float64", "variant minus parent", "of metric"),
    Column("ci_low", "=paired", "Float64", "lower end of the 95 % interval", "of metric"),
    Column("ci_high", "=paired", "Float64", "upper end of the 95 % interval", "of metric"),
    Column("n", "=paired", "Int64", "pairs of items, rounds, or repetitions", "count"),
    Column("flips_up", "=paired", "Int64", "wrong in the parent, right here", "count"),
    Column("flips_down", "=paired", "Int64", "right in the parent, wrong here", "count"),
    Column("flip_rate", "=paired", "Float64", "items whose correctness changed", "fraction"),
    Column("flip_rate_low", "=paired", "Float64", "lower end, Wilson", "fraction"),
    Column("flip_rate_high", "=paired", "Float64", "upper end, Wilson", "fraction"),
    Column("change", "=paired", "Float64", "ratio - 1 (costs only)", "fraction"),
    Column("change_low", "=paired", "Float64", "lower end, 95 %", "fraction"),
    Column("change_high", "=paired", "Float64", "upper end, 95 %", "fraction"),
    Column("p", "=paired", "Float64", "two-sided, not adjusted"),
    _text("p_method", "=paired", "exact McNemar, paired t, or t with clusters"),
    Column("p_holm", "=compare", "Float64", "adjusted by Holm within the suite"),
    Column("mde", "=paired", "Float64", "difference found with 80 % power", "of metric"),
    Column("rounds", "=paired", "Int64", "rounds that both ran in (costs only)", "count"),
    Column("sign_p", "=paired", "Float64", "sign test over the rounds, as a check"),
    Column("noise_floor", "=noise", "Float64", "change that the machine shows A/A", "fraction"),
    _text("verdict", "=compare", "better, worse, higher, lower or not resolved"),
    _text("verdict_reason", "=compare", "inside the noise floor, where it is"),
    Column("margin", "=compare", "Float64", "largest loss that counts as none", "of metric"),
    _text("equivalent", "=equivalence", "within the margin (TOST): yes, no or underpowered"),
    Column("p_equivalent", "=equivalence", "Float64", "of the weaker one-sided test"),
    Column("n_needed", "=equivalence", "Int64", "items that would settle it (80 %)", "count"),
    _text("non_inferior", "=equivalence", "no worse than the margin: yes, no or inconclusive"),
    _text("lossless", "=equivalence", "the equivalence test in words"),
    Column("recovered", "=recovery", "Float64", "share of the parent's loss undone", "fraction"),
    Column("recovered_low", "=recovery", "Float64", "lower end, bootstrap", "fraction"),
    Column("recovered_high", "=recovery", "Float64", "upper end, bootstrap", "fraction"),
    _text("recovered_reason", "=recovery", "why there is no such share"),
    Column("retention", "=recovery", "Float64", "score above chance that is left", "fraction"),
    Column("retention_low", "=recovery", "Float64", "lower end, bootstrap", "fraction"),
    Column("retention_high", "=recovery", "Float64", "upper end, bootstrap", "fraction"),
    _text("retention_reason", "=recovery", "why there is none"),
    _text("unit", "metric.unit", "unit of delta, interval and mde"),
    _text("direction", "metric.direction", "higher, lower or none is better"),
    _text("provenance", "=compare", "derived"),
    _text("flags", "=compare", "what makes the comparison shaky"),
)


ATTRIBUTION_COLUMNS: tuple[Column, ...] = (
    _text("suite", "spec.suite", "suite"),
    _text("size", "spec.size", "demo, standard or full"),
    _text("task", "spec.work_name", "task"),
    _text("metric", "metric.name", "key of the metrics table"),
    _text("variant", "spec.variant.name", "variant whose difference is explained"),
    _text("reference", "=compare", "what it is compared with"),
    Column("step", "=attribution", "Int64", "0: the total; then the steps of the chain"),
    _text("part", "=attribution", "total, what the step changes, or what is not separated"),
    _text("from_variant", "spec.variant.name", "variant where the step begins"),
    _text("from_target", "spec.target.name", "its target"),
    _text("to_variant", "spec.variant.name", "variant where the step ends"),
    _text("to_target", "spec.target.name", "its target"),
    Column("delta", "=paired", "Float64", "end minus beginning; steps add up", "of metric"),
    Column("ci_low", "=paired", "Float64", "lower end of the 95 % interval", "of metric"),
    Column("ci_high", "=paired", "Float64", "upper end of the 95 % interval", "of metric"),
    Column("n", "=paired", "Int64", "items that every run of the chain scored", "count"),
    Column("p", "=paired", "Float64", "two-sided, not adjusted"),
    _text("unit", "metric.unit", "unit of delta and interval"),
    _text("note", "=attribution", "how the tokens of the two runs differ"),
    _text("from_run_id", "record.run_id", "run where the step begins"),
    _text("to_run_id", "record.run_id", "run where the step ends"),
)

FIDELITY_COLUMNS: tuple[Column, ...] = (
    _text("run_id", "record.run_id", "run of the variant"),
    _text("parent_run_id", "record.run_id", "run of the parent; null for the text"),
    _text("variant", "spec.variant.name", "variant name"),
    _text("parent", "=fidelity", "what it is compared with"),
    _text("target", "spec.target.name", "target of the variant"),
    _text("parent_target", "=fidelity", "target of the parent"),
    _text("suite", "spec.suite", "suite"),
    _text("size", "spec.size", "demo, standard or full"),
    _text("task", "spec.work_name", "task, or fidelity for the text"),
    _text("measure", "=fidelity", "name in analysis.measures"),
    Column("value", "=fidelity", "Float64", "the measure; null when unavailable", "of measure"),
    Column("ci_low", "=fidelity", "Float64", "lower end of the 95 % interval", "of measure"),
    Column("ci_high", "=fidelity", "Float64", "upper end of the 95 % interval", "of measure"),
    _text("ci_method", "=fidelity", "how the interval was made, or why there is none"),
    Column("n", "=fidelity", "Int64", "scored tokens, windows or items", "count"),
    Column("floor", "=fidelity", "Float64", "the same of the parent against itself", "of measure"),
    _text("unit", "=fidelity", "unit of value, interval and floor"),
    Column("is_floor", "=fidelity", "boolean", "the parent against itself in another process"),
    _text("reason", "=fidelity", "why there is no value"),
    _text("flags", "=fidelity", "what makes the number shaky"),
)

BASELINE_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _text("metric", "metric.name", "accuracy of the run that is compared"),
    _text("baseline", "=baselines", "shortcut that needs no question, e.g. longest answer"),
    Column("value", "=baselines", "Float64", "accuracy of the shortcut on the items", "of metric"),
    Column("ci_low", "=baselines", "Float64", "lower end of its 95 % interval", "of metric"),
    Column("ci_high", "=baselines", "Float64", "upper end of its 95 % interval", "of metric"),
    Column("n", "=baselines", "Int64", "items with a right answer", "count"),
    Column("chance", "=chance", "Float64", "value expected from guessing", "of metric"),
    Column("score", "=statistics", "Float64", "the run's accuracy", "of metric"),
    Column("delta", "=paired", "Float64", "run minus shortcut, item by item", "of metric"),
    Column("delta_low", "=paired", "Float64", "lower end of its 95 % interval", "of metric"),
    Column("delta_high", "=paired", "Float64", "upper end of its 95 % interval", "of metric"),
    _text("told", "=baselines", "above, below, or not told apart (the interval includes 0)"),
    _text("unit", "metric.unit", "unit of all values"),
    _text("provenance", "=baselines", "derived, measured (choices only) or unavailable"),
    _text("reason", "=baselines", "why the shortcut has no value here"),
)

ROBUSTNESS_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _text("perturbation", "=robustness", "typos, case, synonyms, option_order or names"),
    _text("metric", "=robustness", "what is compared: the task's accuracy, or its primary metric"),
    Column("n", "=paired", "Int64", "items scored on both sides", "count"),
    Column("excluded", "=paired", "Int64", "items that one side could not be scored on", "count"),
    Column("changed", "=robustness", "Float64", "items whose prompt really differs", "fraction"),
    Column("plain", "=statistics", "Float64", "on the plain items of the pairs", "of metric"),
    Column("disturbed", "=statistics", "Float64", "on the disturbed ones", "of metric"),
    Column("disturbed_low", "=statistics", "Float64", "lower end, 95 %", "of metric"),
    Column("disturbed_high", "=statistics", "Float64", "upper end, 95 %", "of metric"),
    Column("drop", "=paired", "Float64", "plain minus disturbed, item by item", "of metric"),
    Column("drop_low", "=paired", "Float64", "lower end of its 95 % interval", "of metric"),
    Column("drop_high", "=paired", "Float64", "upper end of its 95 % interval", "of metric"),
    Column("flip_rate", "=robustness", "Float64", "items whose credit differs", "fraction"),
    Column("flip_rate_low", "=robustness", "Float64", "lower end, Wilson", "fraction"),
    Column("flip_rate_high", "=robustness", "Float64", "upper end, Wilson", "fraction"),
    Column("flips_down", "=paired", "Int64", "right when plain, wrong when disturbed", "count"),
    Column("flips_up", "=paired", "Int64", "wrong when plain, right when disturbed", "count"),
    Column("parent_drop", "=robustness", "Float64", "the parent's, same items", "of metric"),
    Column("drop_delta", "=robustness", "Float64", "drop minus the parent's", "of metric"),
    Column("drop_delta_low", "=robustness", "Float64", "lower end, 95 %", "of metric"),
    Column("drop_delta_high", "=robustness", "Float64", "upper end, 95 %", "of metric"),
    Column("drop_delta_n", "=robustness", "Int64", "items that all four runs scored", "count"),
    _text("unit", "metric.unit", "unit of the values, drops and intervals"),
    _text("plain_run_id", "=robustness", "run on the plain items"),
    _text("parent_run_id", "=robustness", "the parent's run on the disturbed items"),
    _text("reason", "=robustness", "why there is no drop"),
    _text("parent_reason", "=robustness", "why there is none beside the parent's"),
)

BIAS_FLIP_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _text("parent_run_id", "=bias_flips", "the parent's run on the same items"),
    _text("parent_target", "=bias_flips", "its target"),
    Column("bits_per_weight", "record.model.bits_per_weight", "Float64", "effective bits", "bits"),
    _text("group", "=bias_flips", "group of items; empty: all of them"),
    Column("n", "=bias_flips", "Int64", "items that both answered", "count"),
    Column("clusters", "=bias_flips", "Int64", "templates, terms … of those items", "count"),
    Column("parent_rate", "=bias_flips", "Float64", "parent: stereotype-consistent", "fraction"),
    Column("rate", "=bias_flips", "Float64", "variant: stereotype-consistent", "fraction"),
    Column("net", "=bias_flips", "Float64", "rate - parent_rate, paired", "fraction"),
    Column("net_low", "=bias_flips", "Float64", "lower end, 95 %, clustered", "fraction"),
    Column("net_high", "=bias_flips", "Float64", "upper end, 95 %, clustered", "fraction"),
    Column("flips", "=bias_flips", "Float64", "answers of another direction", "fraction"),
    Column("flips_low", "=bias_flips", "Float64", "lower end, Wilson, clustered", "fraction"),
    Column("flips_high", "=bias_flips", "Float64", "upper end, Wilson, clustered", "fraction"),
    Column("to_stereotype", "=bias_flips", "Float64", "consistent now, not before", "fraction"),
    Column("from_stereotype", "=bias_flips", "Float64", "consistent before, not now", "fraction"),
    Column("anti_to_stereotype", "=bias_flips", "Float64", "from against it", "fraction"),
    Column("stereotype_to_anti", "=bias_flips", "Float64", "to against it", "fraction"),
    Column("to_neither", "=bias_flips", "Float64", "neither (unknown …) now", "fraction"),
    Column("from_neither", "=bias_flips", "Float64", "neither before, not now", "fraction"),
    Column("neither_delta", "=bias_flips", "Float64", "change of the rate of neither", "fraction"),
    Column("neither_low", "=bias_flips", "Float64", "lower end, 95 %, clustered", "fraction"),
    Column("neither_high", "=bias_flips", "Float64", "upper end, 95 %, clustered", "fraction"),
    Column("floor", "=bias_flips", "Float64", "parent's flips against itself (G3)", "fraction"),
    Column("within_floor", "=bias_flips", "boolean", "flips no more than that; null: unknown"),
    _text("reason", "=bias_flips", "why nothing could be compared"),
    _text("flags", "=bias_flips", "what makes the comparison shaky"),
)


def frame(columns: tuple[Column, ...], values: Mapping[str, Iterable[object]]) -> pd.DataFrame:
    """A table of exactly these columns with their types; ``values`` is by column name."""
    series = {c.name: pd.Series(list(values[c.name]), dtype="object") for c in columns}
    return pd.DataFrame(series).astype({c.name: c.dtype for c in columns})
