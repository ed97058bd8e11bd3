"""Where a difference comes from: weights, runtime, tokenizer or chat template.

Between two runs of one task up to four things differ. Other runs in the same folder stand between
them: the same weights on another backend, the same tokens on other weights. A chain of runs in
which each step changes one thing splits the difference; where no run stands between, the things
that change together are named as not separated. All steps are taken on the items that every run
of the chain scored, so the parts add up to the total exactly.

The same weights are: one variant on two backends, and a variant with its twin, which stores
the parent's very weights in another form (a dequantized folder, a float32 export).

A split depends on the order of its steps when things interact: the step that is taken first
carries what it does in the surroundings of the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pandas as pd

from slmbench.analysis.columns import ATTRIBUTION_COLUMNS, frame
from slmbench.analysis.compare import Asked, compare
from slmbench.analysis.paired import Difference, on_shared_items, paired_difference
from slmbench.analysis.results import Results
from slmbench.analysis.rows import Judged
from slmbench.metrics import METRICS
from slmbench.records import Status
from slmbench.spec import TaskSpec, VariantRef
from slmbench.store import StoredRun

TEMPLATE, TOKENS, RUNTIME, WEIGHTS = (
    "chat template",
    "tokenizer/BOS",
    "runtime/kernel",
    "compression",
)
FACTORS = (TEMPLATE, TOKENS, RUNTIME, WEIGHTS)
"""What may differ between two runs of a task, in the order in which ties are broken."""
TOTAL = "total"
_FLOAT32_BITS = 31.5
"""Effective bits per weight from which a stored model is taken to be float32."""


@dataclass(frozen=True, slots=True)
class Part:
    """One step of the chain, or the whole of it."""

    name: str
    """A factor, ``not separated: a + b``, or ``total``."""
    start: StoredRun
    end: StoredRun
    difference: Difference
    note: str = ""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The difference between two runs of one task in one metric, and its parts."""

    metric: str
    total: Part
    parts: tuple[Part, ...]
    """In the order of the chain; their deltas add up to the total's."""

    @property
    def unit(self) -> str:
        """Unit of the differences; empty for an unknown metric."""
        return METRICS[self.metric].unit if self.metric in METRICS else ""


def attribution(
    results: Results, *, variant: str | None = None, against: str = "base"
) -> tuple[Attribution, ...]:
    """Split every quality difference from ``against`` (or those of one variant) into parts.

    Pairs with different prompts (``chat_template``) or item sets are taken too: that is what is
    to be explained. UsageError for an unknown variant.
    """
    asked = Asked(
        None if variant is None else (variant,),
        against,
        vary=("chat_template", "item_set"),
        strict=False,
    )
    atlas = Atlas(results)
    return tuple(
        found
        for d in compare(results, asked).deltas
        if d.difference.p is not None
        and (found := atlas.split(d.parent_row.run, d.row.run, d.metric)) is not None
    )


def attribution_table(found: Sequence[Attribution]) -> pd.DataFrame:
    """One row a part, the total first (``columns.ATTRIBUTION_COLUMNS``)."""
    rows = [
        _table_row(a, step, part) for a in found for step, part in enumerate((a.total, *a.parts))
    ]
    return frame(
        ATTRIBUTION_COLUMNS, {c.name: [row[c.name] for row in rows] for c in ATTRIBUTION_COLUMNS}
    )


def weight_classes(runs: Sequence[StoredRun]) -> Mapping[str, str]:
    """Variant digest -> digest of the oldest variant that has the same weights."""
    refs = {run.spec.variant.digest: run for run in runs if run.record.status is Status.OK}
    above = {
        digest: run.spec.variant.parent_digest
        for digest, run in refs.items()
        if run.spec.variant.parent_digest is not None and _stores_the_parents_weights(run)
    }
    found: dict[str, str] = {}
    for digest in refs:
        top, seen = digest, {digest}
        while (parent := above.get(top)) is not None and parent not in seen:
            seen.add(parent)
            top = parent
        found[digest] = top
    return found


def _stores_the_parents_weights(run: StoredRun) -> bool:
    """Whether a variant is its parent in another form.

    ``dequantize`` writes the rounded weights out; an export that is stored in float32 can hold
    those of any parent. An export to fewer bits rounds, so it is compression.
    """
    ref, model = run.spec.variant, run.record.model
    if model is None or model.kernel != "real" or ref.stage != "exported":
        return False
    return ref.technique == "dequantize" or model.bits_per_weight >= _FLOAT32_BITS


@dataclass(frozen=True, slots=True)
class _Place:
    """What a run is made of, as far as scores can depend on it."""

    run: StoredRun
    weights: str
    runtime: tuple[object, ...]
    template: bool
    adds_bos: bool | None
    first_ids: tuple[int, ...]
    straddles: int | None

    def agrees(self, other: _Place, factor: str) -> bool:
        if factor == WEIGHTS:
            return self.weights == other.weights
        if factor == RUNTIME:
            return self.runtime == other.runtime
        if factor == TEMPLATE:
            return self.template == other.template
        return self._same_tokens(other)

    def _same_tokens(self, other: _Place) -> bool:
        """Probe ids and BOS; straddles only under one template, since that moves boundaries."""
        if None not in (self.adds_bos, other.adds_bos) and self.adds_bos != other.adds_bos:
            return False
        if self.first_ids and other.first_ids and self.first_ids != other.first_ids:
            return False
        counted = self.straddles is not None and other.straddles is not None
        same_items = self.run.record.item_set == other.run.record.item_set
        moved = counted and same_items and self.straddles != other.straddles
        return not moved


class Atlas:
    """Which run of a results folder is made of what; each is looked at once."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._classes = weight_classes(results.stored)
        self._places: dict[Path, _Place] = {}

    def split(self, start: StoredRun, end: StoredRun, metric: str) -> Attribution | None:
        """The parts of ``end`` minus ``start`` in one judged metric; None without shared items."""
        first, last = self._place(start), self._place(end)
        differs = tuple(f for f in FACTORS if not first.agrees(last, f))
        stations = self._stations(first, last, metric, differs) if len(differs) > 1 else {}
        chain = _chain(first, last, differs, stations)
        judged = [(self._results.judged(p.run) or {}).get(metric) for _, p in chain]
        shared = on_shared_items([j for j in judged if j is not None])
        if len(shared) < len(chain) or not shared[0].items:
            return None
        total = _part(TOTAL, (first, last), (shared[0], shared[-1]))
        parts = [
            _part(_name(changed), (chain[i][1], place), (shared[i], shared[i + 1]))
            for i, (changed, place) in enumerate(chain[1:])
        ]
        return Attribution(metric, total, tuple(parts))

    def _stations(
        self, first: _Place, last: _Place, metric: str, differs: Sequence[str]
    ) -> dict[frozenset[str], _Place]:
        """Runs that agree with one of the two ends in every factor, by the factors changed.

        Of several one of the ends' own variants is preferred, then the same suite, then the newest.
        """
        found: dict[frozenset[str], _Place] = {}
        for run in sorted(self._results.stored, key=lambda r: _preference(r, first.run, last.run)):
            if not _same_question(run, first.run):
                continue
            if metric not in (self._results.judged(run) or {}):
                continue
            place = self._place(run)
            between = all(place.agrees(first, f) or place.agrees(last, f) for f in FACTORS)
            changed = frozenset(f for f in differs if not place.agrees(first, f))
            if between and 0 < len(changed) < len(differs):
                found[changed] = place
        return found

    def _place(self, run: StoredRun) -> _Place:
        if run.folder not in self._places:
            work, target, model = run.spec.work, run.spec.target, run.record.model
            assert isinstance(work, TaskSpec)
            outputs = [o for item in run.outputs() for o in item.outputs]
            self._places[run.folder] = _Place(
                run,
                self._classes.get(run.spec.variant.digest, run.spec.variant.digest),
                (target.backend, target.device, target.dtype, *sorted(target.options.items())),
                work.chat_template,
                model.adds_bos if model else None,
                model.first_ids if model else (),
                sum(o.kind == "loglikelihood" and o.straddle for o in outputs) if outputs else None,
            )
        return self._places[run.folder]


def _preference(run: StoredRun, first: StoredRun, last: StoredRun) -> tuple[bool, bool, str]:
    """Later in this order is better."""
    ends = {first.spec.variant.digest, last.spec.variant.digest}
    return (
        run.spec.variant.digest in ends,
        run.spec.suite == last.spec.suite,
        run.record.run_id,
    )


def _same_question(run: StoredRun, other: StoredRun) -> bool:
    a, b = run.spec.work, other.spec.work
    if run.record.status is not Status.OK:
        return False
    if not isinstance(a, TaskSpec) or not isinstance(b, TaskSpec):
        return False
    return (a.task, a.num_fewshot, a.definition) == (b.task, b.num_fewshot, b.definition)


def _chain(
    first: _Place,
    last: _Place,
    differs: Sequence[str],
    stations: Mapping[frozenset[str], _Place],
) -> list[tuple[frozenset[str], _Place]]:
    """The chain with the most steps: what each step changes, and the run that it leads to."""
    best: list[frozenset[str]] = []
    for path in _paths(frozenset(), frozenset(differs), frozenset(stations)):
        if len(path) > len(best):
            best = path
    chain, done = [(frozenset[str](), first)], frozenset[str]()
    for changed in best:
        chain.append((changed - done, stations[changed]))
        done = changed
    chain.append((frozenset(differs) - done, last))
    return chain


def _paths(
    done: frozenset[str], goal: frozenset[str], known: frozenset[frozenset[str]]
) -> Iterator[list[frozenset[str]]]:
    """Ascending chains of known stations, in the order of :data:`FACTORS`."""
    yield []
    left = [f for f in FACTORS if f in goal - done]
    for size in range(1, len(left)):
        for step in combinations(left, size):
            station = done | set(step)
            if station in known:
                for rest in _paths(station, goal, known):
                    yield [station, *rest]


def _name(changed: frozenset[str]) -> str:
    names = [f for f in FACTORS if f in changed]
    if not names:
        return "nothing declared"
    return names[0] if len(names) == 1 else f"not separated: {' + '.join(names)}"


def _part(name: str, ends: tuple[_Place, _Place], judged: tuple[Judged, Judged]) -> Part:
    difference = paired_difference(*judged)
    assert difference is not None
    return Part(name, ends[0].run, ends[1].run, difference, _note(*ends))


def _note(start: _Place, end: _Place) -> str:
    """What a reader must know about the tokens of the two runs."""
    said = []
    if start.adds_bos != end.adds_bos:
        said.append(f"BOS {'added' if end.adds_bos else 'not added'} in the second")
    if start.first_ids and end.first_ids and start.first_ids != end.first_ids:
        said.append("other token ids")
    if not (start.first_ids and end.first_ids):
        said.append("token ids not recorded")
    if None not in (start.straddles, end.straddles) and start.straddles != end.straddles:
        said.append(f"straddling tokens {start.straddles} and {end.straddles}")
    return "; ".join(said)


def _ref(run: StoredRun) -> VariantRef:
    return run.spec.variant


def _table_row(a: Attribution, step: int, part: Part) -> dict[str, object]:
    start, end, d = part.start, part.end, part.difference
    return {
        "suite": end.spec.suite, "size": end.spec.size, "task": end.spec.work_name,
        "metric": a.metric,
        "variant": _ref(a.total.end).name, "reference": _ref(a.total.start).name,
        "step": step, "part": part.name,
        "from_variant": _ref(start).name, "from_target": start.spec.target.name,
        "to_variant": _ref(end).name, "to_target": end.spec.target.name,
        "delta": d.delta, "ci_low": d.low, "ci_high": d.high, "n": d.n, "p": d.p,
        "unit": a.unit or None,
        "note": part.note or None,
        "from_run_id": start.record.run_id, "to_run_id": end.record.run_id,
    }  # fmt: skip
