"""Which point of a workload stands for it where a table has room for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from slmbench.analysis.rows import MetricRow
from slmbench.spec import WorkloadSpec


def headline_point(rows: Iterable[MetricRow]) -> Mapping[str, str]:
    """Per metric the workload point that most systems share; of several, the longest output."""
    counts: dict[str, Counter[str]] = {}
    size: dict[str, tuple[int, int]] = {}
    for row in rows:
        work = row.run.spec.work
        if not isinstance(work, WorkloadSpec) or row.estimate.value is None:
            continue
        size.update({p.label: (p.output_tokens, p.prompt_tokens) for p in work.points})
        counts.setdefault(row.metric, Counter())[row.point] += 1
    return {
        metric: max(found, key=lambda p: (found[p], size.get(p, (0, 0))))
        for metric, found in counts.items()
    }
