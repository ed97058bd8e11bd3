"""Is a timing badged when other work runs beside it, and only then?

    python benchmarks/interference.py [--tries 3] [--loops 2]

The same short latency cell, by llama.cpp on the demo's Q4_1 (by the fake engine where llama.cpp is
not installed), through supervisor and worker: alone, and beside busy loops, in turns. A cell
counts as badged when its timed phase carries a flag of interference. Needs an otherwise idle
machine: what else runs is found too. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

SETTLE_S = 3.0
"""Between two cells: what one leaves behind must not be counted in the next."""


@dataclass(frozen=True)
class Try:
    """One cell."""

    beside: bool
    flags: tuple[str, ...]
    """Of interference, on its timed phase."""
    seen: tuple[str, ...]
    tpot: float


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that do nothing but run."""
    children = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def the_job() -> Any:
    """A short latency cell on all cores: beside busy loops a barrier can take a time slice."""
    from builders import cell, target, variant, workload
    from slmbench.cores import usable_cpus
    from slmbench.runner.protocol import CellJob, WorkerJob

    threads = len(usable_cpus())
    work = workload("latency", (16, 12)).model_copy(update={"repeats": 6, "budget_s": 3.0})
    if find_spec("llama_cpp") is not None:
        from scoring_items import artefact

        made = artefact("smollm2-q4_1")
        what, where = str(made.path), made.sha256
        spec = cell(
            variant("q4_1", format="gguf"), work, suite="interference",
            on=target("cpu", backend="llama_cpp", threads=threads),
        )  # fmt: skip
    else:
        what, where = str(ROOT), "0" * 64
        options = {"ttft_s": 0.1, "itl_s": 0.005}
        spec = cell(variant("fake", format="fake"), work, on=target(threads=1, options=options))
    return WorkerJob(artefact=what, artefact_sha256=where, cells=(CellJob(spec=spec, items=None),))


def once(job: Any, *, beside: int) -> Try:
    """Run the cell, with so many loops beside it."""
    from slmbench.analysis.stability import INTERFERENCE, observed_flags
    from slmbench.runner.events import Silent
    from slmbench.runner.supervisor import run_job

    with busy(beside):
        (outcome,) = run_job(job, Silent())
    timed = [phase for phase in outcome.phases if phase.phase == "timed"]
    if not timed:
        raise SystemExit(f"the cell ended {outcome.status}: {outcome.reason}")
    seen = [o for phase in timed for o in phase.observations]
    tpot = [s for p in timed for m in p.measurements if m.metric == "tpot" for s in m.samples]
    return Try(
        beside > 0,
        tuple(sorted(set(observed_flags("s", seen)) & INTERFERENCE)),
        tuple(f"{o.kind} {o.value:.3g} {o.unit}" for o in seen),
        statistics.median(tpot),
    )


def main() -> None:
    """Measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--loops", type=int, default=2)
    arguments = parser.parse_args()
    job, tries, load = the_job(), [], os.getloadavg()[0]
    once(job, beside=0)  # reads the file, warms up
    for _ in range(arguments.tries):
        for loops in (0, arguments.loops):
            time.sleep(SETTLE_S)
            tries.append(once(job, beside=loops))
            last = tries[-1]
            print(
                f"{'beside' if last.beside else 'alone':7} TPOT {last.tpot * 1e3:7.2f} ms  "
                f"{'; '.join(last.flags) or 'no badge':30} {', '.join(last.seen)}",
                flush=True,
            )
    sides = {name: [t for t in tries if t.beside is side]
             for name, side in (("alone", False), ("beside", True))}  # fmt: skip
    figures: dict[str, object] = {
        f"{name}_badged": sum(bool(t.flags) for t in found) for name, found in sides.items()
    }
    slower = [statistics.median(t.tpot for t in found) for found in sides.values()]
    figures |= {
        "tries": arguments.tries,
        "loops": arguments.loops,
        "tpot_ratio": round(slower[1] / slower[0], 3),
        "load1": round(load, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
