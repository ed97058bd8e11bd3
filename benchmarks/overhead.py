"""What the harness itself costs per cell, per token and per request: known engine, real everything.

    python benchmarks/overhead.py [--cells 6]

A fake engine sleeps a known time per token; supervisor, worker, rounds, meters and store are the
real ones. Three questions:

* per token: which share of decoding at 5 ms a token is spent outside the engine, and how far
  recorded times are from those of a bare loop of the same sleeps;
* per cell: what one more timed cell costs besides loading its model, and where it goes;
* per request: what one more log-likelihood request costs, the fake's own hashing included.

The last line is JSON; ``load1`` is the machine's load average, without which it says little.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

TTFT_S, ITL_S = 0.050, 0.005
TOKENS, REPEATS = 100, 10
FEW, MANY = 100, 1100
"""Items of the short and the long task."""


def suite(name: str, repeats: int, output: int) -> dict[str, Any]:
    """A latency suite of one point."""
    knobs = {"repeats": repeats, "warmup": 1, "prompt_tokens": [8], "output_tokens": [output]}
    return {
        "name": name,
        "title": name,
        "description": "benchmark",
        "sizes": {"demo": knobs},
        "workloads": [{"workload": "latency"}],
    }


def models(variants: int, **options: float) -> dict[str, Any]:
    """Fake variants on one target."""
    known = {"format": "fake", "stage": "base", "technique": "none", "licence": "Apache-2.0"}
    target = {"name": "fake-cpu", "backend": "fake", "threads": 1, "options": options}
    return {
        "variants": [{"name": f"fake{i}", **known} for i in range(variants)],
        "targets": [target],
    }


def campaign(folder: Path, spec: dict[str, Any], variants: dict[str, Any]) -> tuple[Any, float]:
    """The runs of a campaign and how long all of it took [s]."""
    from slmbench.api import Request, run_suites
    from slmbench.store import read_store

    folder.mkdir()
    (folder / "suite.yaml").write_text(json.dumps(spec))
    (folder / "models.yaml").write_text(json.dumps(variants))
    request = Request((str(folder / "suite.yaml"),), str(folder / "models.yaml"))
    begin = time.perf_counter()
    run_suites(request, folder / "results")
    seconds = time.perf_counter() - begin
    return read_store(folder / "results").runs, seconds


def samples(run: Any, metric: str) -> list[float]:
    """All timed readings of a metric in a run."""
    return [
        s
        for phase in run.record.phases
        if phase.phase in ("timed", "load")
        for m in phase.measurements
        if m.metric == metric
        for s in m.samples
    ]


def bare_sleep(seconds: float, count: int) -> float:
    """Median time of a sleep of so long in a loop that does nothing else [s]."""
    times = []
    for _ in range(count):
        begin = time.perf_counter_ns()
        time.sleep(seconds)
        times.append((time.perf_counter_ns() - begin) * 1e-9)
    return statistics.median(times)


def per_token(folder: Path) -> dict[str, float]:
    """Decoding at 5 ms a token."""
    known = models(1, ttft_s=TTFT_S, itl_s=ITL_S)
    (run,), _ = campaign(folder / "token", suite("token", REPEATS, TOKENS), known)
    tpot, share = samples(run, "tpot"), samples(run, "engine_share")
    bare = bare_sleep(ITL_S, 200)
    observer = run.record.observer
    return {
        "decode_overhead_share": round(1 - statistics.median(share), 6),
        "tpot_error": round(statistics.median(tpot) / bare - 1, 5),
        "ttft_error": round(statistics.median(samples(run, "ttft")) / TTFT_S - 1, 5),
        "supervisor_cpu_share": round(observer.supervisor_cpu_s / observer.wall_s, 6),
        "supervisor_rss_mb": round(observer.supervisor_rss_bytes / 1e6, 1),
    }


def per_cell(folder: Path, cells: int) -> dict[str, float]:
    """What each further cell costs: a campaign of many against one of a single cell."""
    spec = suite("cell", 1, 1)
    campaign(folder / "warm", spec, models(1))
    used = [cpu_seconds()]
    _, one = campaign(folder / "one", spec, models(1))
    used.append(cpu_seconds())
    runs, many = campaign(folder / "many", spec, models(1 + cells))
    used.append(cpu_seconds())
    own, workers = ((c - 2 * b + a) / cells for a, b, c in zip(*used, strict=True))
    loads = [statistics.median(samples(run, "load_time")) for run in runs]
    cell = (many - one) / cells
    starts = [s for run in runs for s in samples(run, "start_time")]
    return {
        "cell_overhead_s": round(cell - statistics.median(loads), 4),
        "cell_worker_cpu_s": round(workers, 4),
        "cell_supervisor_cpu_s": round(own, 4),
        "cell_load_s": round(statistics.median(loads), 4),
        "cell_start_s": round(statistics.median(starts), 4) if starts else 0.0,
        "cell_meters_s": round(statistics.median(r.record.observer.meters_s for r in runs), 4),
        "first_cell_s": round(one, 4),
        "worker_import_s": round(imported("slmbench.runner.worker"), 4),
        "interpreter_s": round(imported("sys"), 4),
    }


def cpu_seconds() -> tuple[float, float]:
    """Processor time of this process, and of its children that ended [s]; no load changes it."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time(), children.ru_utime + children.ru_stime


def imported(module: str) -> float:
    """Median time of an interpreter that imports a module and ends [s]."""
    times = []
    for _ in range(7):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True, cwd=ROOT)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def per_request(folder: Path) -> float:
    """Seconds for one more log-likelihood request, by the slope between two tasks."""
    from builders import cell, choice_items, sha, target, task, variant
    from slmbench.runner.events import Silent
    from slmbench.runner.protocol import CellJob, WorkerJob
    from slmbench.runner.supervisor import run_job

    spec = cell(variant("fake", format="fake"), task(), on=target(options={"mode": "constant"}))
    times: dict[int, float] = {}
    for count in (FEW, MANY):
        items = choice_items("toy", count)
        file = folder / f"{count}.json"
        file.write_text(items.model_dump_json())
        job = WorkerJob(
            artefact=str(folder), artefact_sha256=sha("x"),
            cells=(CellJob(spec=spec, items=str(file)),),
        )  # fmt: skip
        begin = time.perf_counter()
        (outcome,) = run_job(job, Silent())
        times[count] = time.perf_counter() - begin
        assert len(outcome.outputs) == count, outcome.reason
    return (times[MANY] - times[FEW]) / (MANY - FEW) / 4


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=6)
    cells = parser.parse_args().cells
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        figures = {
            **per_token(folder),
            **per_cell(folder, cells),
            "request_overhead_s": round(per_request(folder), 7),
        }
    figures["load1"] = round(os.getloadavg()[0], 2)
    limits = {"decode_overhead_share": 0.01, "cell_overhead_s": 0.3}
    for name, value in figures.items():
        limit = f"  (at most {limits[name]:g})" if name in limits else ""
        print(f"{name:24} {value:g}{limit}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
