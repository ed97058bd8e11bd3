"""What the harness adds: fake engine with known times, real supervisor, worker and store.

    python benchmarks/harness_overhead.py

Runs a latency workload whose fake engine sleeps a known TTFT and ITL, and compares what was
recorded; then watches the supervisor's own processor time while a worker is busy; then times a
cell that does nothing. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

TTFT_S, ITL_S = 0.050, 0.010
PERF = {
    "name": "known",
    "title": "known times",
    "description": "benchmark",
    "sizes": {"demo": {"repeats": 40, "warmup": 1, "prompt_tokens": [8], "output_tokens": [20]}},
    "workloads": [{"workload": "latency"}],
}


def models(folder: Path, name: str, **options: float) -> str:
    """A models file with one fake variant."""
    path = folder / f"{name}.yaml"
    variant = {"name": "fake", "format": "fake", "stage": "base", "technique": "none",
               "licence": "Apache-2.0"}  # fmt: skip
    target = {"name": "fake-cpu", "backend": "fake", "threads": 1, "options": options}
    path.write_text(json.dumps({"variants": [variant], "targets": [target]}))
    return str(path)


def main() -> None:
    """Measure, print."""
    from slmbench.api import Request, run_suites
    from slmbench.store import read_store

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        suite = folder / "known.yaml"
        suite.write_text(json.dumps(PERF))
        slow = Request((str(suite),), models(folder, "slow", ttft_s=TTFT_S, itl_s=ITL_S))
        cpu, wall = time.process_time(), time.perf_counter()
        run_suites(slow, folder / "slow")
        share = (time.process_time() - cpu) / (time.perf_counter() - wall)
        (run,) = read_store(folder / "slow").runs
        samples = {
            m.metric: m.samples
            for phase in run.record.phases
            if phase.phase == "timed"
            for m in phase.measurements
        }
        instant = Request((str(suite),), models(folder, "instant"))
        begin = time.perf_counter()
        run_suites(instant, folder / "instant")
        cell = time.perf_counter() - begin
    ttft, tpot = (statistics.median(samples[m]) for m in ("ttft", "tpot"))
    figures = {
        "ttft_error": round(ttft / TTFT_S - 1, 5),
        "tpot_error": round(tpot / ITL_S - 1, 5),
        "supervisor_cpu_share": round(share, 5),
        "empty_cell_s": round(cell, 3),
        "load1": round(os.getloadavg()[0], 2),
    }
    print(
        f"TTFT {ttft * 1e3:.3f} ms, known {TTFT_S * 1e3:g}; "
        f"TPOT {tpot * 1e3:.3f} ms, known {ITL_S * 1e3:g}"
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
