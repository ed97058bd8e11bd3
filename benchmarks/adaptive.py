"""Items asked until a difference from the parent is known, against asking all of a fixed number.

    python benchmarks/adaptive.py [--items 400] [--tasks arc_easy piqa hellaswag] [--live]

The GGUF variants of the demo answer the same items with the llama_cpp target, all of them once
(kept in the folder of ``--results``, so that a second call does not run again). The stop rule is
then replayed on these answers in the order in which they were asked: real items, real models,
and the very looks that a run would have taken. ``--live`` also runs the suite with ``until`` and
counts how many variants stopped where the replay says.

Decisions compared, from all items and from those asked until the stop: is the difference from
the parent resolved (better, worse, not resolved), and is the variant lossless within the margin
(yes: the interval lies above -margin; no: below; else unclear). The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from slmbench.analysis import Results, load_results
from slmbench.analysis.paired import paired_difference
from slmbench.analysis.rows import Judged
from slmbench.api import Request, run_suites
from slmbench.plan import Selection
from slmbench.sequential import METRIC_OF, Pair, Schedule, adjusted_p, replay
from slmbench.spec import TaskSpec
from slmbench.spec.suite import Until
from slmbench.store import StoredRun

TARGET = "llama_cpp-cpu"
PARENT = "smollm2-q4_1"
CHILDREN = ("smollm2-q8_0", "smollm2-q3_k_m", "smollm2-q2_k")


@dataclass(frozen=True, slots=True)
class Decisions:
    """What one says of a variant."""

    delta: float
    half: float
    resolved: str
    lossless: str


@dataclass(frozen=True, slots=True)
class Case:
    """One variant in one task, judged both ways."""

    task: str
    variant: str
    asked: int
    available: int
    fixed: Decisions
    adaptive: Decisions


def main() -> None:
    """Run what is missing, replay, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=400, help="per task")
    parser.add_argument("--tasks", nargs="+", default=["arc_easy", "piqa", "hellaswag"])
    parser.add_argument("--halfwidth", type=float, default=0.04)
    parser.add_argument("--every", type=int, default=25)
    parser.add_argument("--margin", type=float, default=0.05)
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "adaptive")
    parser.add_argument("--live", action="store_true", help="also run with the stop switched on")
    asked = parser.parse_args()
    until = Until(metric="acc_norm_delta", halfwidth=asked.halfwidth, every=asked.every)
    stored = _run(asked.results, asked.tasks, asked.items, None)
    cases = [case for task in asked.tasks for case in _cases(stored, task, until, asked.margin)]
    _print(cases)
    figures = _summary(cases) | {"halfwidth": asked.halfwidth, "every": asked.every}
    if asked.live:
        live = _run(asked.results, asked.tasks, asked.items, until)
        figures["stopped_as_replayed"] = _agreement(live, cases)
    print(json.dumps(figures))


def _run(root: Path, tasks: Sequence[str], items: int, until: Until | None) -> Results:
    """The results of a suite of these tasks; cells that are there are not run again."""
    suite = {
        "name": "adaptive" if until else "fixed",
        "title": "fixed against adaptive",
        "description": "for benchmarks/adaptive.py",
        "sizes": {"demo": {"items": items, "timeout_s": 7200}},
        "tasks": [{"task": task, "primary": "acc_norm"} for task in tasks],
    } | ({"until": until.model_dump()} if until else {})
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"{suite['name']}.yaml"
    path.write_text(json.dumps(suite), "utf-8")
    chosen = Selection(variants=(PARENT, *CHILDREN), targets=(TARGET,))
    results = root / "results"
    summary = run_suites(Request((str(path),), "demo", chosen), results)
    for failed in summary.failed:
        raise SystemExit(f"{failed.cell.spec.label}: {failed.reason}")
    return load_results(results, only={s.cell.spec.digest for s in summary.states})


def _of(results: Results, task: str, variant: str) -> StoredRun:
    (run,) = [
        r for r in results.stored if r.spec.work_name == task and r.spec.variant.name == variant
    ]
    return run


def _cases(results: Results, task: str, until: Until, margin: float) -> Iterator[Case]:
    metric = METRIC_OF[until.metric]
    parent = (results.judged(_of(results, task, PARENT)) or {})[metric]
    for variant in CHILDREN:
        mine = (results.judged(_of(results, task, variant)) or {})[metric]
        looks = replay(Schedule(until, len(mine.items)), _pairs(parent, mine))
        last, p = looks[-1], adjusted_p(looks)
        full = paired_difference(parent, mine)
        if full is None or last.estimate is None or last.low is None or last.high is None:
            raise SystemExit(f"{task} {variant}: no pairs")
        yield Case(
            task, variant, last.asked, len(mine.items),
            _decide(full.delta, (full.low, full.high), full.p, margin),
            _decide(last.estimate, (last.low, last.high), p, margin),
        )  # fmt: skip


def _pairs(parent: Judged, mine: Judged) -> list[Pair | None]:
    """In the order asked."""
    theirs = dict(zip(parent.items, parent.values, strict=True))
    pairs: list[Pair | None] = []
    for item, value, cluster in zip(mine.items, mine.values, mine.clusters, strict=True):
        base = theirs.get(item)
        paired = base is not None and value is not None
        pairs.append(Pair(value - base, cluster) if paired else None)  # type: ignore[operator]
    return pairs


def _decide(
    delta: float, interval: tuple[float | None, float | None], p: float | None, margin: float
) -> Decisions:
    low, high = interval
    if low is None or high is None:
        return Decisions(delta, 1.0, "not resolved", "unclear")
    clear = p is not None and p < 0.05 and (low > 0 or high < 0)
    resolved = ("better" if delta > 0 else "worse") if clear else "not resolved"
    lossless = "yes" if low > -margin else "no" if high < -margin else "unclear"
    return Decisions(delta, (high - low) / 2, resolved, lossless)


def _print(cases: Sequence[Case]) -> None:
    for case in cases:
        print(f"{case.task:10} {case.variant:15} {case.asked:4} of {case.available}")
        for name, d in (("all items", case.fixed), ("adaptive", case.adaptive)):
            print(f"    {name:10} {d.delta * 100:+6.2f} ± {d.half * 100:4.2f} pt  {d.resolved:13}"
                  f" lossless: {d.lossless}")  # fmt: skip


def _summary(cases: Sequence[Case]) -> dict[str, object]:
    """The parent answers every item on both ways, so it is counted in ``items_share_all``."""
    asked, available = sum(c.asked for c in cases), sum(c.available for c in cases)
    parents = sum({c.task: c.available for c in cases}.values())
    same = [
        (c.fixed.resolved == c.adaptive.resolved, c.fixed.lossless == c.adaptive.lossless)
        for c in cases
    ]
    decisions = [one for pair in same for one in pair]
    return {
        "items_share": round(asked / available, 4),
        "items_share_all": round((asked + parents) / (available + parents), 4),
        "same_decisions": round(sum(decisions) / len(decisions), 4),
        "same_resolved": round(sum(a for a, _ in same) / len(same), 4),
        "same_lossless": round(sum(b for _, b in same) / len(same), 4),
        "contradictions": sum(
            {c.fixed.resolved, c.adaptive.resolved} == {"better", "worse"}
            or {c.fixed.lossless, c.adaptive.lossless} == {"yes", "no"}
            for c in cases
        ),
        "cases": len(cases),
        "items": cases[0].available,
        "answers": "replayed from one full run",
    }


def _agreement(live: Results, cases: Sequence[Case]) -> float:
    """Share of the cells that stopped after as many items as the replay did."""
    same = 0
    for case in cases:
        run = _of(live, case.task, case.variant)
        assert isinstance(run.spec.work, TaskSpec)
        stop = run.record.adaptive
        same += stop is not None and stop.asked == case.asked
    return round(same / len(cases), 4)


if __name__ == "__main__":
    main()
