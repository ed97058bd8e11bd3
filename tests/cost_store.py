"""Builders for the pages of costs: runs in rounds, fits of memory, limits, windows, loads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import builders as b
from slmbench.analysis import load_results
from slmbench.records import (
    MachinePeaks,
    Measurement,
    Observation,
    ObserverCost,
    PhaseRecord,
    ProbeEnding,
    Provenance,
    Status,
)
from slmbench.report.costs import CostPage
from slmbench.report.costs.entries import Table
from slmbench.report.page import make_page
from slmbench.spec import RunSpec, VariantRef, WorkloadSpec
from slmbench.spec.points import parse_point

ROOT = b.variant("m-root")
SMALL = b.variant("m-q4", parent="m-root")
PEAKS = MachinePeaks(
    threads=2,
    read_bandwidth=2e10,
    gemm_flops={"int8": 1e12, "float32": 2e11},
    llc_bytes=33_000_000,
    measured_utc="2026-01-01T00:00:00+00:00",
    method="test",
)
OBSERVER = ObserverCost(
    supervisor_cpu_s=0.2, supervisor_rss_bytes=80_000_000, wall_s=20.0, meters_s=0.05
)
MODEL = b.model(
    4.5, decode_weight_bytes=80_000_000, matmul_parameters=134_000_000, attention_width=576
)
MB = 10**6


def timed(
    what: VariantRef,
    workload: str = "latency",
    points: Sequence[str] = ("pp512", "tg128"),
    suite: str = "latency",
    **changes: object,
) -> RunSpec:
    """A cell of a timed workload."""
    work = WorkloadSpec(
        **{
            "workload": workload,
            "points": tuple(map(parse_point, points)),
            "repeats": 3,
            "warmup": 0,
            "window_s": 0,
            "idle_s": 0,
            "seed": 1,
            "processes": 3,
            **changes,
        }  # type: ignore[arg-type]
    )
    return b.cell(what, work, suite=suite)


def rounds(
    spec: RunSpec, speed: float = 1.0, processes: int = 5, seen: Sequence[Observation] = ()
) -> list[PhaseRecord]:
    """Processes whose times differ by 1 % from round to round, and hardly within."""
    assert isinstance(spec.work, WorkloadSpec)
    found = []
    for process in range(processes):
        slow = (1 + 0.01 * (process % 3)) / speed
        for point in spec.work.points:
            prompt, label = point.prompt_tokens, point.label
            ttft = [slow * (0.001 * prompt + 1e-7 * prompt**2) * (1 + 1e-3 * i) for i in (0, 2, 1)]
            made = [b.measurement("ttft", *ttft, point=label)]
            if point.output_tokens > 1:
                step = slow * (0.01 + 1e-6 * point.depth)
                tpot = [step * (1 + 1e-3 * i) for i in (1, 0, 2)]
                made += [
                    b.measurement("tpot", *tpot, point=label),
                    b.measurement("decode_rate", *[1 / t for t in tpot], point=label),
                    b.measurement("engine_share", 0.98, 0.99, 0.98, point=label),
                ]
            found.append(_in(b.phase("timed", *made, seen=seen), process))
        load = b.measurement("load_time", 0.4 * slow, scope="engine imported before, page cache")
        found.append(_in(b.phase("load", load), process))
    return found


def _in(phase: PhaseRecord, process: int) -> PhaseRecord:
    return phase.model_copy(update={"process": process, "round": f"s-{process}"})


def memory_phases(peak: float, runtime: float = 60 * MB) -> list[PhaseRecord]:
    """A fresh process: engine alone, loading, prefill, decoding."""
    point = "pp128+tg16"
    return [
        b.phase("runtime", b.measurement("peak_rss", runtime),
                b.measurement("runtime_overhead", runtime)),
        b.phase("load", b.measurement("peak_rss", 0.9 * peak), b.measurement("pss_anon", 5e7)),
        b.phase("prefill", b.measurement("peak_rss", peak, point=point)),
        b.phase("total", b.measurement("peak_memory", peak),
                b.measurement("model_memory", peak - runtime)),
    ]  # fmt: skip


def context_phases(per_token: float = 23040) -> list[PhaseRecord]:
    """Two processes a context: the cache is the formula's, a prefill takes twice as much."""
    found = []
    for process, name in enumerate(("pp240+tg16", "pp496+tg16", "pp1008+tg16") * 2):
        cells = parse_point(name).tokens
        held = b.measurement("pss_anon", 60 * MB + per_token * cells + 1000 * process, point=name)
        peak = b.measurement("peak_rss", 70 * MB + 2 * per_token * cells, point=name)
        found += [_in(b.phase("cache", held), process), _in(b.phase("prefill", peak), process)]
    return found


def frontier_phases() -> list[PhaseRecord]:
    """100 MB: nothing fits. 400 MB: the whole window does. 800 MB: nobody knows."""

    def probe(limit: int, context: int, status: Status) -> PhaseRecord:
        ending = ProbeEnding(
            limit_bytes=limit, enforced_by="cgroup v1", context=context, batch=1, status=status
        )
        ok = [b.measurement("decode_rate", 50.0), b.measurement("major_faults", 1234)]
        phase = b.phase("probe", *(ok if status is Status.OK else ()))
        return phase.model_copy(update={"probe": ending})

    def found(metric: str, point: str, value: float | None) -> Measurement:
        return Measurement(
            metric=metric, samples=() if value is None else (value,), point=point, method="counter",
            provenance=Provenance.MEASURED if value else Provenance.UNAVAILABLE,
            reason="" if value else "no answer in time",
        )  # fmt: skip

    return [
        probe(100 * MB, 256, Status.OOM),
        probe(400 * MB, 2048, Status.OK),
        b.phase(
            "frontier",
            found("max_context", "100 MB", None),
            found("max_context", "400 MB", 2048),
            found("max_batch", "256 tokens, 400 MB", 8),
            found("max_context", "800 MB", None),
        ),
    ]


def cost_pages_of(root: Path) -> dict[str, CostPage]:
    """The cost pages about a store, by name."""
    return {page.about.name: page for page in make_page(load_results(root), "t").costs}


def tables(page: CostPage) -> dict[str, Table]:
    """The tables of a page by their anchors."""
    return {table.anchor: table for part in page.parts for table in part.tables}


def window(joules: float, seconds: float, scope: str, modelled: float = 0.0) -> PhaseRecord:
    """A window of ten requests of pp128+tg64 with its figures, gross and net of 2 W."""
    point = "pp128+tg64"
    method = "sampled" if scope.startswith("wall") else "counter"

    def derived(metric: str, value: float) -> Measurement:
        return b.measurement(
            metric, value, point=point, scope=scope, method=method, provenance=Provenance.DERIVED
        )

    net = joules - 2 * seconds
    rows = [
        derived("energy_total", joules),
        derived("energy_per_request", joules / 10),
        derived("energy_per_token", joules / 640),
        derived("energy_net_per_token", net / 640),
        derived("mean_power", joules / seconds),
        b.measurement("window_request_time", seconds / 10, point=point, scope="this window",
                      method="derived", provenance=Provenance.DERIVED),
    ]  # fmt: skip
    names = {"energy_estimate": 1, "energy_estimate_per_request": 10}
    for metric, share in names.items() if modelled else ():
        rows.append(
            b.measurement(
                metric, modelled / share, point=point, method="modelled",
                scope="whole machine, modelled, cpu by machine load", reason="a model of load",
                provenance=Provenance.ESTIMATED,
            )
        )  # fmt: skip
    made = b.phase("window", *rows)
    return made.model_copy(update={"duration_ns": int(seconds * 1e9)})


LENGTHS = ("pp256", "pp512", "pp1024", "pp2048", "tg16@d256", "tg16@d512", "tg16@d1024")


def quadratic(spec: RunSpec, processes: int = 3) -> list[PhaseRecord]:
    """t = 0.01 + 0.001 T + 1e-6 T², TPOT = 0.02 + 1e-5 T, ± 0.1 % by process."""
    assert isinstance(spec.work, WorkloadSpec)
    found = []
    for process in range(processes):
        factor = 1 + 1e-3 * (process - 1)
        for point in spec.work.points:
            t, held = point.prompt_tokens, point.depth + 1 + point.output_tokens / 2
            made = [b.measurement("ttft", factor * (0.01 + 1e-3 * t + 1e-6 * t * t),
                                  point=point.label)]  # fmt: skip
            if point.output_tokens > 1:
                step = factor * (0.02 + 1e-5 * held)
                made.append(b.measurement("tpot", step, step, point=point.label))
            found.append(_in(b.phase("timed", *made), process))
    return found


def retrieval(shelf: b.Shelf, found: dict[int, float]) -> None:
    """A passkey run: by words the share found, at two depths; the longest does not fit."""
    places = [(words, depth) for words in (*found, 800) for depth in (0, 50) for _ in range(20)]
    plain = b.choice_items("slm_passkey", len(places))
    items = tuple(
        item.model_copy(
            update={
                "target": json.dumps({"words": w, "depth": d, "key": "1", "others": []}),
                "choices": (),
            }
        )
        for item, (w, d) in zip(plain.items, places, strict=True)
    )
    scores = [
        None if w not in found else float(i % 20 < round(20 * found[w]))
        for i, (w, _) in enumerate(places)
    ]
    tokens = [None if w not in found else 1.2 * w for w, _ in places]
    spec = b.cell(ROOT, b.task("slm_passkey", "retrieval_correct"), suite="long_context")
    asked = plain.model_copy(update={"scorer": "retrieval", "items": items})
    shelf.task(spec, asked, {"retrieval_correct": scores, "context_tokens": tokens})


def load_phase(place: str, ttft: float, goodput: float, failed: int = 0) -> PhaseRecord:
    """Forty requests of one load: most near ``ttft``, the last one five times as long."""
    times = [ttft * (1 + 0.001 * ((7 * i) % 40)) for i in range(39)] + [5 * ttft]
    return b.phase(
        "timed",
        b.measurement("ttft", *times, point=place, scope="per request, at the client"),
        b.measurement("goodput", goodput, point=place, scope="steady window"),
        b.measurement("failed_requests", float(failed), point=place,
                      scope="timeout" if failed else "any kind"),
    )  # fmt: skip
