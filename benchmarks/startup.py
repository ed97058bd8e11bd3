"""How long the commands that people wait for take to start, each in a new process.

    python benchmarks/startup.py [--runs 9]

Takes the median over fresh interpreters, interleaved so that drift hits all alike. The last line
is JSON; ``load1`` is the machine's load average, without which the times say little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python_s": ["-c", "pass"],
    "help_s": ["-m", "slmbench.cli.main", "--help"],
    "list_tasks_s": ["-m", "slmbench.cli.main", "list", "tasks"],
    "list_suites_s": ["-m", "slmbench.cli.main", "list", "suites"],
    "import_s": ["-c", "import slmbench"],
    "import_analysis_s": ["-c", "import slmbench; slmbench.load_results"],
}


def once(arguments: list[str]) -> float:
    """Wall time of one run [s]."""
    begin = time.perf_counter_ns()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True)  # fmt: skip
    return (time.perf_counter_ns() - begin) * 1e-9


def main() -> None:
    """Warm up once, then measure in rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        once(command)
    for _ in range(runs):
        for name, command in COMMANDS.items():
            times[name].append(once(command))
    for name, samples in times.items():
        print(f"{name:20} median {statistics.median(samples):.3f}  min {min(samples):.3f}")
    figures = {name: round(statistics.median(samples), 4) for name, samples in times.items()}
    print(json.dumps({**figures, "runs": runs, "load1": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
