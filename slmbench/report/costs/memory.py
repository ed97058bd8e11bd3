"""The page about memory: phases, what is the model's, growth with the context, what fits."""

from __future__ import annotations

from slmbench.metrics import METRICS
from slmbench.report.costs.drawing import Bar, bars
from slmbench.report.costs.entries import Entry, Head, Part, Table, change
from slmbench.report.costs.frontier import frontier_part
from slmbench.report.costs.material import Block, Costs, head, named
from slmbench.report.costs.memory_context import context_part
from slmbench.report.figures import Figure
from slmbench.report.format import scale_for, show
from slmbench.store import StoredRun

WORKLOADS = ("memory", "memory_context", "oom_frontier")
SUMMARY = (
    "artefact_size", "peak_memory", "runtime_overhead", "model_memory", "cgroup_peak",
    "gpu_memory_delta", "cuda_allocated", "cuda_reserved",
)  # fmt: skip
PHASES = ("runtime", "load", "warm_up", "prefill", "decode")
COUNTERS = ("peak_rss", "pss_anon", "pss_file", "cuda_allocated")
"""Counters with a table of phases each."""


def build(costs: Costs) -> tuple[Part, ...]:
    """All sections; none where no memory was measured."""
    blocks = costs.of("memory")
    found = [_peaks(costs, block, alone=len(blocks) == 1) for block in blocks]
    return (*found, context_part(costs), frontier_part(costs))


def _peaks(costs: Costs, block: Block, *, alone: bool) -> Part:
    lead = (
        "Peak memory is the largest VmHWM of a fresh process over all phases, interpreter and "
        "engine included. The runtime's own (engine imported, no model) is shown and subtracted: "
        "what remains is the model's. Loading often needs more than running, so look at the "
        "phases too. Anonymous memory can never be given back; mapped weights can.",
    )
    tables = [_summary(costs, block)]
    tables += [t for counter in COUNTERS if (t := _phases(costs, block, counter)) is not None]
    title = "What a fresh process needs"
    figure = _figure(costs, block)
    return Part(
        f"memory-{block.suite}",
        title if alone else f"{title}: suite {block.suite}",
        lead,
        () if figure is None else (figure,),
        tuple(tables),
    )


def _summary(costs: Costs, block: Block) -> Table:
    runs = list(block.runs.values())
    metrics = [m for m in SUMMARY if m == "peak_memory" or costs.has(runs, m)]
    compared = any(costs.change(run, "peak_memory") for run in runs)
    heads: list[Head] = []
    for metric in metrics:
        heads.append(head(metric))
        if metric == "peak_memory" and compared:
            heads.append(Head("× parent", "ratio to the parent's peak"))
    rows = []
    for line in block.lines:
        run = block.runs[line.system]
        cells: list[Entry] = []
        for metric in metrics:
            cells.append(costs.entry(run, metric))
            if metric == "peak_memory" and compared:
                cells.append(change(costs.change(run, metric)))
        rows.append(named(line, block, cells))
    anchor, title = f"memory-{block.suite}-summary", "Peak, runtime and model"
    return Table(anchor, title, "", "Variant", tuple(heads), tuple(rows))


def _phases(costs: Costs, block: Block, counter: str) -> Table | None:
    runs = list(block.runs.values())
    columns = [
        (phase, point)
        for phase in PHASES
        for point in ("", *block.points)
        if any(_has(costs, run, counter, phase, point) for run in runs)
    ]
    if not columns:
        return None
    rows = [
        named(line, block, [costs.entry(block.runs[line.system], counter, phase=ph, point=pt)
                            for ph, pt in columns])
        for line in block.lines
    ]  # fmt: skip
    declared = METRICS[counter]
    heads = tuple(
        Head(phase.replace("_", " "), declared.definition, point) for phase, point in columns
    )
    note = f"{declared.definition[:1].upper()}{declared.definition[1:]}."
    anchor = f"memory-{block.suite}-{counter}"
    folded = counter != "peak_rss"
    return Table(
        anchor, f"{declared.label} by phase", note, "Variant", heads, tuple(rows), folded=folded
    )


def _has(costs: Costs, run: StoredRun, counter: str, phase: str, point: str) -> bool:
    row = costs.row(run, counter, phase=phase, point=point)
    return row is not None and row.estimate.value is not None


def _figure(costs: Costs, block: Block) -> Figure | None:
    found = []
    for line in block.lines:
        run = block.runs[line.system]
        peak, runtime = costs.row(run, "peak_memory"), costs.row(run, "runtime_overhead")
        if peak is None or runtime is None:
            continue
        if peak.estimate.value is not None and runtime.estimate.value is not None:
            found.append((line, peak.estimate.value, runtime.estimate.value))
    if not found:
        return None
    scale = scale_for("bytes", [peak for _, peak, _ in found])
    drawn = [
        Bar(
            line.short,
            (runtime / scale.divisor, (peak - runtime) / scale.divisor),
            (
                f"{line.label} · {line.system.target}\nruntime {show(runtime, 'bytes')}",
                f"{line.label} · {line.system.target}\nof the model {show(peak - runtime, 'bytes')}"
                f"\npeak {show(peak, 'bytes')}",
            ),
        )
        for line, peak, runtime in found
    ]
    caption = (
        "Peak memory split into the runtime (engine imported, no model) and the rest, which is "
        "weights, cache and buffers. Two engines differ in the grey part alone already."
    )
    words = (f"peak memory [{scale.label}]", ("runtime", "model"))
    return bars(f"memory-{block.suite}-figure", "Runtime and model", caption, drawn, words)
