"""How long reading results and writing the report take, on a synthetic store.

    python benchmarks/report_time.py [--systems 25] [--items 1000]

Builds a store of (8 cells × systems) in a temporary folder (not timed), then times, in this
process: importing, ``load_results``, ``.metrics()``, and ``write_report``. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

METRICS = ("acc", "acc_norm", "acc_bytes", "gold_bpb", "margin")


def build(root: Path, systems: int, items: int) -> int:
    """Write the store: per system six tasks of ``items`` items, latency and memory."""
    import builders as b

    shelf = b.Shelf(root)
    sets = {f"task{i}": b.choice_items(f"task{i}", items) for i in range(6)}
    for index in range(systems):
        ref = b.variant(f"v{index}", parent="v0" if index else None)
        noise = random.Random(index)
        for name, chosen in sets.items():
            scores = {m: [float(noise.random() < 0.5) for _ in range(items)] for m in METRICS}
            shelf.task(b.cell(ref, b.task(name)), chosen, scores, model=b.model(4 + index % 5))
        times = [0.01 * (1 + index / 10) * noise.uniform(0.98, 1.02) for _ in range(60)]
        timed = b.phase(
            "timed",
            *(b.measurement(m, *times, point="pp128+tg32") for m in ("ttft", "tpot", "e2e")),
            b.measurement("itl", *(times * 31), point="pp128+tg32"),
        )
        shelf.load(b.cell(ref, b.workload(), suite="latency"), timed)
        peak = b.phase("total", b.measurement("peak_memory", 2e8 + 1e6 * index))
        shelf.load(b.cell(ref, b.workload("memory"), suite="memory"), peak)
    return len(shelf.folders)


def main() -> None:
    """Build, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", type=int, default=25)
    parser.add_argument("--items", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "results"
        cells = build(root, asked.systems, asked.items)
        marks = [time.perf_counter_ns()]
        # Imports are timed where a user pays for them.
        import slmbench

        results = slmbench.load_results(root)
        marks.append(time.perf_counter_ns())
        rows = len(results.metrics())
        marks.append(time.perf_counter_ns())
        from slmbench.report import write_report

        page = write_report(results, Path(folder) / "page", title="synthetic")
        marks.append(time.perf_counter_ns())
        size = page.stat().st_size
    load, metrics, report = (round((b - a) * 1e-9, 3) for a, b in itertools.pairwise(marks))
    print(f"{cells} cells of {asked.items} items: {rows} rows of metrics")
    print(
        json.dumps(
            {
                "cells": cells,
                "items": asked.items,
                "load_results_s": load,
                "metrics_s": metrics,
                "report_s": report,
                "page_bytes": size,
            }
        )
    )


if __name__ == "__main__":
    main()
