"""What an energy figure is worth: model against meter, energy against time, joules per answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slmbench.analysis.energy import Agreement, Information, agreement, information
from slmbench.analysis.energy_per_correct import energy_per_correct
from slmbench.analysis.statistics import Estimate
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.report.cells import Cell
from slmbench.report.constructs.drawing import Dot, Plane, scatter
from slmbench.report.constructs.systems import Line
from slmbench.report.costs.entries import Head, Part, Reading, Row, Table, Tone, Words, reading
from slmbench.report.costs.latency import scaled_estimate
from slmbench.report.costs.material import Block, Costs
from slmbench.report.figures import Figure
from slmbench.report.format import scale_for
from slmbench.report.leaderboard import System

_ANSWER: Mapping[bool | None, tuple[str, Tone]] = {
    True: ("yes", "good"),
    False: ("no", "warn"),
    None: ("not known", ""),
}


def check_parts(costs: Costs) -> tuple[Part, ...]:
    """Three sections; empty where there is nothing to check."""
    return (_agreement(costs), _information(costs), _per_correct(costs))


def _agreement(costs: Costs) -> Part:
    runs = [run for block in costs.of("energy") for run in block.runs.values()]
    rows = [_agreed(found) for found in agreement(runs)]
    heads = (
        Head("Measured", "mean power by the meter"),
        Head("Modelled", "mean power of codecarbon's model, of the whole machine"),
        Head("Modelled / measured", "energy, median over windows"),
    )
    lead = (
        "codecarbon ran in the same windows. A ratio far from 1 is expected where the meter covers "
        "a board only and the model the whole machine; a ratio that differs between variants says "
        "that the model orders them wrongly.",
    )
    table = Table("agreement-table", "Measured against estimated", "", "Variant", heads,
                  tuple(rows))  # fmt: skip
    found = (table,) if rows else ()
    return Part("agreement", "Measured against estimated", lead if rows else (), (), found)


def _agreed(found: Agreement) -> Row:
    spec = found.run.spec
    e = found.ratio
    cell = Cell(
        "ratio", "kv_ratio", e.value, e.low, e.high, e.n, "score", Provenance.DERIVED.value,
        detail=e.method,
    )  # fmt: skip
    return Row(
        spec.variant.name,
        (f"{spec.target.name} · {found.point}",),
        (
            Words(f"{found.measured_w:.3g} W", pill=False,
                  below=(f"grade {found.grade or '–'}", found.scope)),
            Words(f"{found.modelled_w:.3g} W", pill=False,
                  below=(f"grade {found.model_grade or '–'}", found.model_scope)),
            Reading(cell),
        ),
    )  # fmt: skip


def _information(costs: Costs) -> Part:
    kept = {run.folder for block in costs.of("energy") for run in block.runs.values()}
    found = information([row for folder in kept for row in costs.rows.get(folder, ())])
    heads = (
        Head("Grade", "of the energy"),
        Head("Says more than time?", "Pearson correlation with the time per request, at most 0.99"),
        Head("Verdict", "in words"),
    )
    ordered = sorted(found, key=lambda i: (i.suite, i.target, i.point, i.grade or "", i.metric))
    table = Table("information-table", "Verdicts", "", "Energy", heads,
                  tuple(map(_informed, ordered)))  # fmt: skip
    lead = (
        "Where the energy of the variants correlates with their time above 0.99, it restates time: "
        "use the time. A constant number of watts always does.",
    )
    if not ordered:
        return Part("information", "Energy against time", ())
    figures = tuple(f for block in costs.of("energy") if (f := _figure(costs, block)) is not None)
    return Part("information", "Energy against time", lead, figures, (table,))


def _informed(one: Information) -> Row:
    word, tone = _ANSWER[one.own_information]
    return Row(
        METRICS[one.metric].label,
        (f"{one.target} · {one.point}", f"{one.suite} · {one.size}", one.scope),
        (
            Words(one.grade or "–", pill=False),
            Words(word, tone),
            Words(one.verdict, pill=False, below=(", ".join(one.variants),)),
        ),
    )


def _figure(costs: Costs, block: Block) -> Figure | None:
    """Energy per request against time per request at the first point that has both."""
    for point in block.points:
        pairs = []
        for line in block.lines:
            run = block.runs[line.system]
            energy = costs.row(run, "energy_per_request", point=point, phase="window")
            time = costs.row(run, "window_request_time", point=point)
            if energy is not None and time is not None and energy.estimate.value is not None:
                pairs.append((line, time.estimate, energy.estimate))
        if len(pairs) > 1:
            return _drawn(block, point, pairs)
    return None


def _drawn(
    block: Block, point: str, pairs: Sequence[tuple[Line, Estimate, Estimate]]
) -> Figure | None:
    times = scale_for("s", [t.value or 0.0 for _, t, _ in pairs])
    joules = scale_for("J", [e.value or 0.0 for _, _, e in pairs])
    dots = [
        Dot(
            line.short,
            f"{line.label} · {line.system.target}",
            scaled_estimate(t, times.divisor),
            scaled_estimate(e, joules.divisor),
        )
        for line, t, e in pairs
    ]
    plane = Plane(f"time per request [{times.label}]", f"energy per request [{joules.label}]",
                  times.label, joules.label)  # fmt: skip
    caption = "On a straight line through the origin, energy is time at a constant power."
    return scatter(f"energy-time-{block.suite}", f"Energy against time, {point}", caption, dots,
                   plane)  # fmt: skip


def _per_correct(costs: Costs) -> Part:
    rows = []
    for found in energy_per_correct(costs.results.metric_rows, costs.results.judged_runs):
        spec = found.run.spec
        system = System.of(found.run)
        rows.append(
            Row(
                spec.variant.name,
                (f"{system.target} · {system.size}", f"{spec.suite} · {spec.work_name}"),
                (reading(found, METRICS[found.metric].label), Words(found.reason, pill=False)),
            )
        )
    heads = (
        Head(METRICS["energy_per_correct"].label, METRICS["energy_per_correct"].definition),
        Head("How, or why not", "the windows whose energy per token was taken"),
    )
    lead = ("Lowest for the smallest model that guesses well: read it beside accuracy and chance.",)
    table = Table("per-correct-table", "Energy per correct answer", "", "Variant", heads,
                  tuple(rows))  # fmt: skip
    title = "Energy per correct answer"
    return Part("per-correct", title, lead if rows else (), (), (table,) if rows else ())
