"""Write the pages that are generated from code: docs/metrics.md and suites/schema/.

python scripts/make_docs.py            write what changed
python scripts/make_docs.py --check    exit 1 when something is out of date
"""

from __future__ import annotations

import sys
from pathlib import Path

from slmbench.metrics import METRICS, Metric
from slmbench.spec.schema import FILES, schema_text

ROOT = Path(__file__).resolve().parent.parent

HEAD = """\
# Metrics

Generated from `slmbench/metrics/` by `make fix`; do not edit.

One row a metric. *Better* is the direction that tables, plots and Pareto fronts use; a metric
without one is never ranked. *Value* says how the raw samples of a run become the number that is
shown: samples are kept, statistics are computed when results are read.

Every number also carries its 95 % interval, the number of samples, and where it comes from:
`measured`, `derived`, `estimated` or `unavailable` (then it is empty, never 0).

"""
BETTER = {"higher": "higher", "lower": "lower", "none": "–"}


def metrics_page() -> str:
    """docs/metrics.md as it should be."""
    lines = [
        "| name | title | unit | better | value | definition |",
        "|---|---|---|---|---|---|",
        *(row(metric) for metric in METRICS.values()),
    ]
    return HEAD + "\n".join(lines) + "\n"


def row(metric: Metric) -> str:
    """One line of the table."""
    notes = [metric.definition]
    if metric.ideal is not None:
        notes.append(f"ideal: {metric.ideal:g}")
    if metric.chance:
        notes.append(f"chance level: {metric.chance}")
    cells = (
        f"`{metric.name}`",
        metric.label,
        metric.unit,
        BETTER[metric.direction],
        metric.aggregate,
        "; ".join(notes),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def pages() -> dict[Path, str]:
    """Every generated file and its text."""
    schemas = {ROOT / "suites" / "schema" / n: schema_text(m) for n, m in FILES.items()}
    return {ROOT / "docs" / "metrics.md": metrics_page()} | schemas


def main(arguments: list[str]) -> int:
    """Write or check; 1 when ``--check`` finds an old page."""
    old = [
        path
        for path, text in pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in arguments:
        for path in old:
            print(f"{path.relative_to(ROOT)} is out of date: make fix")
        return 1 if old else 0
    for path in old:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages()[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
