"""The columns of the tables about costs: latency, throughput and energy."""

from __future__ import annotations

from slmbench.analysis.columns import IDENTITY, Column


def _text(name: str, path: str, description: str) -> Column:
    return Column(name, path, "string", description)


_READING: tuple[Column, ...] = (
    _text("metric", "metric.name", "key of the metrics table"),
    _text("phase", "phase.phase", "phase that it was read in"),
    _text("point", "measurement.point", "workload point or load"),
    _text("scope", "measurement.scope", "what the number covers"),
)

PERCENTILE_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    *_READING,
    Column("percentile", "=percentiles", "Float64", "50, 90, 95 or 99"),
    Column("value", "=percentiles", "Float64", "null without an interval (tails)", "of metric"),
    Column("ci_low", "=percentiles", "Float64", "lower end of the 95 % interval", "of metric"),
    Column("ci_high", "=percentiles", "Float64", "upper end of the 95 % interval", "of metric"),
    _text("ci_method", "=percentiles", "how the interval was made, or why there is none"),
    Column("n", "=percentiles", "Int64", "requests (gaps, for gaps between tokens)", "count"),
    Column("failed", "=percentiles", "Int64", "requests among them without an answer", "count"),
    Column("processes", "=processes", "Int64", "processes that they are from", "count"),
    _text("unit", "metric.unit", "unit of value and interval"),
    _text("provenance", "measurement.provenance", "measured, derived, estimated, unavailable"),
    _text("reason", "=percentiles", "why there is no number"),
    _text("flags", "=stability", "what makes the number shaky, joined by '; '"),
    _text("stability", "=steadiness", "steady, noisy, drifting or disturbed"),
)

COST_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    *_READING,
    Column("primary", "=tables.primary", "boolean", "stands for its workload"),
    Column("value", "=statistics", "Float64", "median of the samples, as a rule", "of metric"),
    Column("ci_low", "=statistics", "Float64", "lower end of the 95 % interval", "of metric"),
    Column("ci_high", "=statistics", "Float64", "upper end of the 95 % interval", "of metric"),
    _text("ci_method", "=statistics", "how the interval was made, or why there is none"),
    Column("n", "=statistics", "Int64", "samples behind the value", "count"),
    Column("processes", "=processes", "Int64", "processes behind the value", "count"),
    Column("rounds", "=processes", "Int64", "rounds that they ran in; 0: none", "count"),
    Column("noise_floor", "=noise", "Float64",
           "change that a comparison of so many rounds shows where there is none", "fraction"),
    _text("stability", "=steadiness", "steady, noisy, drifting or disturbed"),
    _text("stability_reason", "=steadiness", "what that word rests on"),
    _text("unit", "metric.unit", "unit of value and interval"),
    _text("direction", "metric.direction", "higher, lower or none is better"),
    _text("provenance", "measurement.provenance", "measured, derived, estimated, unavailable"),
    _text("status", "record.status", "how the cell ended"),
    _text("reason", "measurement.reason", "why there is no value"),
    _text("flags", "=stability", "what makes the number shaky, joined by '; '"),
    _text("kernel", "record.model.kernel", "simulated: no speed or memory is credited"),
    Column("observer_cpu_s", "record.observer.supervisor_cpu_s", "Float64",
           "processor time of the supervisor while the run's workers ran", "s"),
    Column("observer_cpu_share", "=cost_frames", "Float64",
           "the same over the time that they ran: of one core", "fraction"),
    Column("observer_memory", "record.observer.supervisor_rss_bytes", "Int64",
           "resident memory of the supervisor", "bytes"),
    Column("meters_s", "record.observer.meters_s", "Float64",
           "starting and stopping meters in the workers, outside the phases", "s"),
)  # fmt: skip

NOISE_COLUMNS: tuple[Column, ...] = (
    _text("machine", "=noise", "fingerprint of the machine"),
    _text("target", "=noise", "target that was tried"),
    _text("backend", "=noise", "inference engine"),
    _text("device", "=noise", "cpu, cuda …"),
    Column("threads", "=noise", "Int64", "compute threads", "count"),
    _text("variant", "=noise", "variant that was compared with itself"),
    _text("metric", "=noise", "ttft or tpot"),
    _text("point", "=noise", "workload point"),
    Column("rounds", "=noise", "Int64", "rounds of the experiment", "count"),
    Column("spread", "=noise", "Float64", "root mean square of the log ratios"),
    Column("bias_p", "=noise", "Float64", "t test of mean log ratio 0"),
    Column("floor_1", "=noise", "Float64", "floor of one process each", "fraction"),
    Column("floor_5", "=noise", "Float64", "floor of five rounds", "fraction"),
    Column("floor_15", "=noise", "Float64", "floor of fifteen rounds", "fraction"),
    Column("disturbed", "=noise", "Int64", "processes in which a meter saw other work", "count"),
    Column("processes", "=noise", "Int64", "processes of the experiment", "count"),
    _text("measured_utc", "=noise", "ISO 8601"),
)
