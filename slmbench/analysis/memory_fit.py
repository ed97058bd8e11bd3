"""Memory against context: M(T) = a + bT, and what of b is the key-value cache.

T counts the KV cells of all sequences, filled. The samples are processes (one per context and
round), each of which reads its memory with the model and its context loaded (``cache``), after
a prefill and after decoding. Ordinary least squares; intervals from Student's t with n - 2
degrees of freedom (Draper & Smith, Applied Regression Analysis, 1.4).

The formula of the cache is 2 x layers x KV heads x head size x bytes per value. What else may
grow or hide: an engine that evaluates without fused attention keeps scores of ubatch x context x
heads floats; logits of a whole prompt take prompt x vocabulary floats; llama.cpp reserves rows
of logits for its outputs, which is part of a.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from slmbench.analysis.rows import MetricRow
from slmbench.analysis.special import t_quantile
from slmbench.analysis.statistics import Estimate
from slmbench.records import PhaseRecord, Provenance, Status
from slmbench.spec import WorkloadSpec
from slmbench.spec.points import parse_point
from slmbench.store import StoredRun

WORKLOAD = "memory_context"
Quantity = Literal["pss_anon", "peak_rss", "cuda_allocated", "gpu_memory_delta"]
QUANTITIES: tuple[tuple[str, Quantity], ...] = (
    ("cache", "pss_anon"),
    ("prefill", "pss_anon"),
    ("prefill", "peak_rss"),
    ("decode", "peak_rss"),
    ("prefill", "cuda_allocated"),
    ("total", "gpu_memory_delta"),
)
"""Phase and counter of every line that is fitted, where the phase has the counter."""
_PAID: tuple[tuple[str, Quantity], ...] = (("total", "gpu_memory_delta"), ("prefill", "peak_rss"))
_CACHE: tuple[tuple[str, Quantity], ...] = (
    ("cache", "pss_anon"), ("prefill", "cuda_allocated"), ("prefill", "peak_rss"),
)  # fmt: skip
_RESERVED = 0.5
"""A line of ``cache`` with less of the formula than this is of an engine that reserves nothing."""


@dataclass(frozen=True, slots=True)
class Line:
    """M(T) = a + bT of one counter in one phase of one run."""

    run: StoredRun
    phase: str
    quantity: Quantity
    n: int
    """Processes."""
    contexts: tuple[int, ...]
    """Different T, rising [tokens]."""
    fixed: Estimate
    """a [bytes]."""
    per_token: Estimate
    """b [bytes per token]."""
    worst: float | None
    """Largest distance of a process from the line [bytes]."""
    reason: str = ""

    @property
    def kv_bytes(self) -> int | None:
        """The formula's bytes per token; None where the model has no such cache."""
        model = self.run.record.model
        return None if model is None else model.kv_bytes_per_token

    @property
    def kv_ratio(self) -> Estimate:
        """b over the formula."""
        kv, b = self.kv_bytes, self.per_token
        if not kv or b.value is None:
            return Estimate(None, 0, method="no KV formula" if not kv else b.method)
        low, high = (None if end is None else end / kv for end in (b.low, b.high))
        return Estimate(b.value / kv, b.n, low, high, None, b.method)

    @property
    def told(self) -> str:
        """What b is, for people."""
        ratio, kv = self.kv_ratio.value, self.kv_bytes
        if self.reason:
            return self.reason
        if ratio is None or kv is None:
            return "this model keeps no keys and values per token"
        if self.phase == "cache" and ratio < _RESERVED:
            return "nothing is reserved ahead: keys and values grow while tokens are evaluated"
        if abs(ratio - 1) <= 0.05:
            return "the key-value cache, within 5 %"
        if ratio < 1:
            return "less than the formula: part of the cache is not resident or not counted here"
        rest = (ratio - 1) * kv
        return f"the cache and {rest:,.0f} B/token of buffers: {self._buffers(rest)}"

    def _buffers(self, rest: float) -> str:
        """What buffers of that size per token would be."""
        model = self.run.record.model
        if model is not None and math.isclose(rest, 4 * model.vocab_size, rel_tol=0.3):
            return "as much as float32 logits of every prompt position"
        if self.run.spec.target.backend == "llama_cpp":
            return "attention scores and mask of a batch of prompt tokens (ubatch × context)"
        return "activations and attention of the prompt"


def memory_lines(runs: Iterable[StoredRun]) -> tuple[Line, ...]:
    """The lines of every finished run of ``memory_context``."""
    return tuple(line for run in runs if _asked(run) for line in _lines(run))


def readings_of(line: Line) -> tuple[tuple[int, float], ...]:
    """What a line is drawn through: T [tokens] and reading [bytes], a pair a process."""
    return tuple(
        pair
        for record in line.run.record.phases
        if record.phase == line.phase
        for pair in _readings(record, line.quantity)
    )


def headline(lines: Sequence[Line]) -> Line | None:
    """The line that a user pays for: of the device's memory, else of the process's peak."""
    return _first(lines, _PAID)


def cache_line(lines: Sequence[Line]) -> Line | None:
    """The line to hold against the formula: where the cache is there and little else grows."""
    found = [line for line in lines if line.kv_ratio.value is not None]
    reserved = [
        line
        for line in found
        if not (line.phase == "cache" and (line.kv_ratio.value or 0.0) < _RESERVED)
    ]
    return _first(reserved, _CACHE)


def memory_rows(run: StoredRun) -> tuple[MetricRow, ...]:
    """memory_per_token (it stands for the workload), memory_fixed and kv_ratio of one run."""
    lines = memory_lines([run])
    paid, cache = headline(lines), cache_line(lines)
    rows: list[MetricRow] = []
    if paid is not None:
        rows += [_row(paid, "memory_per_token", paid.per_token, primary=True)]
        rows += [_row(paid, "memory_fixed", paid.fixed)]
    if cache is not None:
        rows += [_row(cache, "kv_ratio", cache.kv_ratio)]
    return tuple(rows)


def _row(line: Line, metric: str, estimate: Estimate, *, primary: bool = False) -> MetricRow:
    contexts = f"{line.contexts[0]} to {line.contexts[-1]} tokens"
    return MetricRow(
        line.run,
        metric,
        estimate,
        Provenance.DERIVED,
        primary=primary,
        phase=line.phase,
        scope=f"{line.quantity} over {line.n} processes, {contexts}",
        method="derived",
        reason=line.told if metric == "kv_ratio" else "",
    )


def _asked(run: StoredRun) -> bool:
    work = run.spec.work
    return (
        isinstance(work, WorkloadSpec)
        and work.workload == WORKLOAD
        and run.record.status is Status.OK
    )


def _lines(run: StoredRun) -> Iterator[Line]:
    for phase, quantity in QUANTITIES:
        pairs = [
            (cells, value)
            for record in run.record.phases
            if record.phase == phase
            for cells, value in _readings(record, quantity)
        ]
        if pairs:
            yield _fitted(run, phase, quantity, pairs)


def _readings(record: PhaseRecord, quantity: Quantity) -> Iterator[tuple[int, float]]:
    """T and the largest reading of a phase."""
    for m in record.measurements:
        if m.metric == quantity and m.samples and m.point:
            point = parse_point(m.point)
            yield point.tokens * point.batch, max(m.samples)


def _fitted(
    run: StoredRun, phase: str, quantity: Quantity, pairs: Sequence[tuple[int, float]]
) -> Line:
    contexts = tuple(sorted({cells for cells, _ in pairs}))
    n = len(pairs)
    if len(contexts) < 2:
        nothing = Estimate(None, n, method="needs two contexts")
        why = "a line needs two contexts or more"
        return Line(run, phase, quantity, n, contexts, nothing, nothing, None, why)
    mean_x = math.fsum(x for x, _ in pairs) / n
    mean_y = math.fsum(y for _, y in pairs) / n
    spread = math.fsum((x - mean_x) ** 2 for x, _ in pairs)
    b = math.fsum((x - mean_x) * (y - mean_y) for x, y in pairs) / spread
    a = mean_y - b * mean_x
    residuals = [y - a - b * x for x, y in pairs]
    worst = max(map(abs, residuals))
    if n < 3:
        method = "two processes: no interval"
        parts = Estimate(a, n, method=method), Estimate(b, n, method=method)
        return Line(run, phase, quantity, n, contexts, *parts, worst)
    variance = math.fsum(r * r for r in residuals) / (n - 2)
    t = t_quantile(0.975, n - 2)
    se_b = math.sqrt(variance / spread)
    se_a = math.sqrt(variance * (1 / n + mean_x**2 / spread))
    fixed, slope = (
        Estimate(value, n, value - t * se, value + t * se, se, "least squares, Student t")
        for value, se in ((a, se_a), (b, se_b))
    )
    return Line(run, phase, quantity, n, contexts, fixed, slope, worst)


def _first(lines: Sequence[Line], wanted: Sequence[tuple[str, Quantity]]) -> Line | None:
    for key in wanted:
        for line in lines:
            if (line.phase, line.quantity) == key and line.per_token.value is not None:
                return line
    return None
