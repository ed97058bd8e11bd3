"""Which answers to stereotype probes changed from the parent to the variant, and which way.

Two variants can have the same share of stereotype-consistent answers and agree on few of them:
means hide what a compression did to single answers and to groups. Every probe says of each
answer whether it is consistent with the stereotype (+1), against it (-1) or neither (0, for
example "unknown"); here the two answers to one item are put side by side.

A flip is no damage in itself, and a model flips against itself too (other packing, other
process): where the gate G3 has measured that floor, it stands beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slmbench.analysis.constructs.judged_run import groups_of
from slmbench.analysis.fidelity import answered_pairs
from slmbench.analysis.gates import NoiseFloor, noise_floor
from slmbench.analysis.results import Results
from slmbench.analysis.rows import Judged
from slmbench.analysis.stability import Flag
from slmbench.analysis.statistics import Estimate, mean_estimate, share_estimate, wilson
from slmbench.records import Status
from slmbench.spec import TaskSpec
from slmbench.store import StoredRun
from slmbench.store.gates import GateRecord, read_gates

DIRECTION = "bias_direction"
"""Row metric that every stereotype probe emits."""
NO_PARENT = "no run of the parent on the same items"
NO_PAIR = "no item of this group was answered by both"


@dataclass(frozen=True, slots=True)
class Moves:
    """How the answers moved between the three directions; shares of the ``n`` pairs."""

    flips: Estimate
    """Another direction than the parent's."""
    to_stereotype: Estimate
    """Stereotype-consistent now, and not in the parent."""
    from_stereotype: Estimate
    """Stereotype-consistent in the parent, and not now."""
    anti_to_stereotype: Estimate
    stereotype_to_anti: Estimate
    to_neither: Estimate
    """Neither (unknown, unrelated, no preference) now, and one of the two in the parent."""
    from_neither: Estimate
    net: Estimate
    """Change of the stereotype rate: to_stereotype - from_stereotype, paired."""
    neither_delta: Estimate
    """Change of the rate of neither, paired."""
    parent_rate: Estimate
    """Stereotype-consistent answers of the parent, of the paired items."""
    rate: Estimate
    """The variant's."""


@dataclass(frozen=True, slots=True)
class BiasFlips:
    """One variant against its parent, on one task and group."""

    run: StoredRun
    parent_run: StoredRun | None
    group: str
    """Group of items; empty: all of them."""
    n: int
    """Items that both answered."""
    clusters: int
    """Templates, terms … that those items belong to."""
    moves: Moves | None
    """None where nothing could be compared; ``reason`` says why."""
    floor: float | None = None
    """Share of answers that the parent changes against itself (gate G3); None: not measured."""
    within_floor: bool | None = None
    """Whether the flip rate is inside the interval of that share; None without a floor."""
    reason: str = ""
    flags: tuple[Flag, ...] = ()

    @property
    def bits_per_weight(self) -> float | None:
        """Of the variant, scales and embeddings included: the order of compression."""
        model = self.run.record.model
        return None if model is None else model.bits_per_weight


@dataclass(frozen=True, slots=True)
class Paired:
    """The directions of the items that both runs answered, in the variant's order."""

    before: tuple[float, ...]
    after: tuple[float, ...]
    clusters: tuple[str, ...]

    def share(self, marked: Callable[[float, float], bool]) -> Estimate:
        """Share of pairs with the mark, Wilson on the effective number of items."""
        return share_estimate([marked(b, a) for b, a in self._both()], self.clusters)

    def change(self, counted: Callable[[float], bool]) -> Estimate:
        """Paired change of a share, clustered t interval.

        Where every pair changed alike (or none did) the spread is 0 and says nothing: the ends
        are then as far away as the Wilson bound of a change that no cluster showed.
        """
        moved = [float(counted(a)) - float(counted(b)) for b, a in self._both()]
        estimate = mean_estimate(moved, self.clusters)
        if estimate.value is None or estimate.se is None or estimate.se > 0:
            return estimate
        reach = wilson(0.0, len(set(self.clusters)))[1]
        low, high = max(-1.0, estimate.value - reach), min(1.0, estimate.value + reach)
        return replace(estimate, low=low, high=high, method="no variance: Wilson bound")

    def _both(self) -> Iterator[tuple[float, float]]:
        return zip(self.before, self.after, strict=True)


def bias_flips(results: Results) -> tuple[BiasFlips, ...]:
    """Every run of a stereotype probe whose variant has a parent, all items first, then by group.

    Ordered by suite, task, compression (most bits first) and variant. Suspect runs (and those
    with a suspect parent) and runs without a comparable parent's run give one row without numbers
    and the reason.
    """
    probes = [run for run in results.stored if _is_probe(results, run)]
    parents = {run.folder: base for run, base in answered_pairs(results, None)}
    suspects = {r.run.folder: r.reason for r in results.metric_rows if r.suspect}
    gates = tuple(read_gates(results.root))
    found: list[BiasFlips] = []
    for run in probes:
        if run.spec.variant.parent is None:
            continue
        base = parents.get(run.folder)
        reason = _refused(run, base, suspects)
        if reason or base is None:
            found.append(BiasFlips(run, base, "", 0, 0, None, reason=reason or NO_PARENT))
            continue
        left, right = (results.judged(each) or {} for each in (base, run))
        if DIRECTION in left and DIRECTION in right:
            rows = compared(left[DIRECTION], right[DIRECTION])
            found += [_row(run, base, group, pairs, gates) for group, pairs in rows.items()]
    return tuple(sorted(found, key=_place))


def _place(row: BiasFlips) -> tuple[str, str, str, float, str, str]:
    spec = row.run.spec
    bits = row.bits_per_weight or 0.0
    return spec.suite, spec.size, spec.work_name, -bits, spec.variant.name, spec.target.name


def compared(before: Judged, after: Judged) -> Mapping[str, Paired]:
    """Items that both answered, by group; "" is all of them. Groups are the variant's."""
    known = {i: v for i, v in zip(before.items, before.values, strict=True) if v is not None}
    rows = [
        (group, known[item], value, cluster)
        for item, group, value, cluster in zip(
            after.items, after.groups, after.values, after.clusters, strict=True
        )
        if value is not None and item in known
    ]
    return {
        name: Paired(
            *(tuple(column) for column in zip(*kept, strict=True)) if kept else ((), (), ())
        )
        for name in groups_of({DIRECTION: after})
        for kept in [[row[1:] for row in rows if not name or row[0] == name]]
    }


def moves_of(pairs: Paired) -> Moves:
    """Shares and paired changes; a direction is read off its sign."""
    return Moves(
        flips=pairs.share(lambda b, a: _sign(b) != _sign(a)),
        to_stereotype=pairs.share(lambda b, a: b <= 0 < a),
        from_stereotype=pairs.share(lambda b, a: a <= 0 < b),
        anti_to_stereotype=pairs.share(lambda b, a: b < 0 < a),
        stereotype_to_anti=pairs.share(lambda b, a: a < 0 < b),
        to_neither=pairs.share(lambda b, a: b != 0 and a == 0),
        from_neither=pairs.share(lambda b, a: b == 0 and a != 0),
        net=pairs.change(lambda value: value > 0),
        neither_delta=pairs.change(lambda value: value == 0),
        parent_rate=share_estimate([b > 0 for b in pairs.before], pairs.clusters),
        rate=share_estimate([a > 0 for a in pairs.after], pairs.clusters),
    )


def _row(
    run: StoredRun, base: StoredRun, group: str, pairs: Paired, gates: Sequence[GateRecord]
) -> BiasFlips:
    row = BiasFlips(run, base, group, len(pairs.after), len(set(pairs.clusters)), None,
                    flags=_flags(run, base))  # fmt: skip
    if not pairs.after:
        return replace(row, reason=NO_PAIR)
    moves = moves_of(pairs)
    floor = noise_floor(gates, base.spec.variant.digest, base.spec.target.backend)
    if floor is None:
        return replace(row, moves=moves)
    return replace(
        row, moves=moves, floor=floor.flip_rate, within_floor=_within(moves.flips, floor)
    )


def _within(flips: Estimate, floor: NoiseFloor) -> bool:
    """Whether the rate is no larger than the upper end of the floor's 95 % Wilson interval."""
    assert flips.value is not None
    return flips.value <= wilson(floor.flip_rate, floor.items)[1]


def _is_probe(results: Results, run: StoredRun) -> bool:
    if not isinstance(run.spec.work, TaskSpec) or run.record.status is not Status.OK:
        return False
    return DIRECTION in (results.judged(run) or {})


def _refused(run: StoredRun, base: StoredRun | None, suspects: Mapping[Path, str]) -> str:
    if run.folder in suspects:
        return f"suspect: {suspects[run.folder]}"
    if base is not None and base.folder in suspects:
        return f"the parent's run is suspect: {suspects[base.folder]}"
    return ""


def _flags(run: StoredRun, base: StoredRun) -> tuple[Flag, ...]:
    return () if run.spec.target.backend == base.spec.target.backend else ("backend differs",)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
