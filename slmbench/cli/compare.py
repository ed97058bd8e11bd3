"""``slmbench compare``: paired differences, acceptance gates, and where a difference comes from."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slmbench.analysis import load_results
from slmbench.analysis.acceptance import parse_gate, parse_margin
from slmbench.analysis.attribution import Attribution, attribution, attribution_table
from slmbench.analysis.checks import Check, Outcome, judge, mapped, overall
from slmbench.analysis.compare import Asked, Comparison, Delta, compare
from slmbench.analysis.signature_rules.findings import Finding
from slmbench.cli.frames import emit_frame
from slmbench.cli.junit import junit
from slmbench.cli.output import Value, emit
from slmbench.cli.signatures import HEADS, found_rows, of_variants, records, summary
from slmbench.errors import GateError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from slmbench.analysis import Results

INCONCLUSIVE = 6
"""Exit code: no gate failed, and at least one could not be decided."""
EXIT_CODES: dict[Outcome, int] = {
    "pass": 0,
    "fail": GateError.exit_code,
    "inconclusive": INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that the command has to show."""

    comparison: Comparison
    checks: tuple[Check, ...]
    gated: bool
    explained: tuple[Attribution, ...]
    explain: bool
    signatures: tuple[Finding, ...]
    """Of the variants that are compared, and of what they are compared with."""


def execute(arguments: argparse.Namespace) -> int:
    """Compare, judge, print; 4 when a gate fails, 6 when none fails but one is inconclusive."""
    gates = [parse_gate(text) for text in arguments.gate]
    if arguments.format == "junit" and not gates:
        raise UsageError("--format junit shows gates", hint='add one: --gate "acc_norm:-1pp"')
    folder, asked = _asked(arguments)
    results = load_results(folder)
    comparison = compare(results, asked)
    findings = Findings(
        comparison,
        mapped(judge(results, gates, asked), arguments.inconclusive),
        bool(gates),
        _explained(results, asked) if arguments.explain else (),
        arguments.explain,
        of_variants(results, {name for d in comparison.deltas for name in (d.variant, d.parent)}),
    )
    _show(findings, "md" if arguments.format == "markdown" else arguments.format)
    for refused in findings.comparison.refused:
        print(f"not compared: {refused.label} with {refused.parent}: {refused.reason}",
              file=sys.stderr)  # fmt: skip
    return EXIT_CODES[overall(findings.checks)]


def _asked(arguments: argparse.Namespace) -> tuple[Path, Asked]:
    """The folder and what is wanted of it, from ``[RESULTS] [A B]`` and the flags."""
    names: list[str] = arguments.names
    if len(names) > 3:
        raise UsageError(
            f"{len(names)} names given", hint="slmbench compare [RESULTS] [A B]: B against A"
        )
    folder = names.pop(0) if len(names) in (1, 3) else None
    if folder is not None and arguments.results is not None:
        raise UsageError("the results folder is given twice", hint="drop --results")
    if names and arguments.against is not None:
        raise UsageError("A B and --against both say what to compare with", hint="drop --against")
    margin = None if arguments.margin is None else parse_margin(arguments.margin)
    path = Path(folder or arguments.results or "results")
    if names:
        against, variant = names
        return path, Asked((variant,), against, None, arguments.vary, margin)
    against = arguments.against or "parent"
    return path, Asked(None, against, None, arguments.vary, margin, strict=False)


def _explained(results: Results, asked: Asked) -> tuple[Attribution, ...]:
    found = attribution(results, against=asked.against)
    if asked.variants is None:
        return found
    return tuple(a for a in found if a.total.end.spec.variant.name in asked.variants)


def _show(found: Findings, form: str) -> None:
    if form == "junit":
        print(junit(found.checks, [told(c) for c in found.checks]))
    elif form == "json":
        _show_json(found)
    elif form == "csv":
        emit_frame(attribution_table(found.explained) if found.explain
                   else found.comparison.table(), form)  # fmt: skip
        for check in found.checks:
            print(f"{check.outcome}: {_title(check)}: {told(check)}", file=sys.stderr)
        for variant, target, signature, severity, why in found_rows(found.signatures):
            print(f"{severity}: {variant} on {target}: {signature}: {why}", file=sys.stderr)
    else:
        emit(_DELTA_HEADS, map(_delta_row, sorted(found.comparison.deltas, key=_order)), form)
        if found.explain:
            print()
            emit(_PART_HEADS, _part_rows(found.explained), form)
        _show_signatures(found.signatures, form)
        if found.gated:
            print()
            emit(("gate", "variant", "against", "on", "outcome", "found"),
                 map(_check_row, found.checks), form)  # fmt: skip
            print(f"\ngates: {overall(found.checks)}")


def _show_signatures(findings: Sequence[Finding], form: str) -> None:
    if not findings:
        return
    print()
    rows = found_rows(findings)
    if rows:
        emit(HEADS, rows, form)
        print()
    print("\n".join(summary(findings)))


def _show_json(found: Findings) -> None:
    document: dict[str, object] = {
        "differences": _records(found.comparison.table()),
        "refused": [
            {"label": r.label, "against": r.parent, "reason": r.reason}
            for r in found.comparison.refused
        ],
        "gates": [
            {
                "gate": c.gate.text, "metric": c.gate.metric, "bound": c.gate.bound,
                "kind": c.gate.kind, "unit": c.gate.unit, "variant": c.variant,
                "reference": c.reference, "target": c.target, "suite": c.suite, "task": c.task,
                "point": c.point, "outcome": c.outcome, "value": c.value, "ci_low": c.low,
                "ci_high": c.high, "n": c.n, "reason": c.reason,
            }
            for c in found.checks
        ],
        "outcome": overall(found.checks) if found.gated else None,
        "signatures": records(found.signatures),
    }  # fmt: skip
    if found.explain:
        document["attribution"] = _records(attribution_table(found.explained))
    print(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))


def _records(frame: pd.DataFrame) -> object:
    return json.loads(frame.to_json(orient="records", double_precision=15))


_DELTA_HEADS = ("variant", "against", "target", "task", "metric", "delta", "95 % interval", "n",
                "flips", "p (Holm)", "MDE", "verdict", "margin", "remarks")  # fmt: skip
_PART_HEADS = ("variant", "against", "task", "metric", "part", "from", "to", "delta",
               "95 % interval", "n", "note")  # fmt: skip


def _order(d: Delta) -> tuple[str, ...]:
    spec = d.row.run.spec
    return (spec.suite, spec.work_name, d.row.point, d.metric, d.variant, spec.target.name)


def _delta_row(d: Delta) -> list[Value]:
    diff, spec = d.difference, d.row.run.spec
    flips = "" if diff.flips_up is None else f"+{diff.flips_up} -{diff.flips_down}"
    return [
        d.variant, d.parent, spec.target.name, f"{spec.work_name} {d.row.point}".strip(), d.metric,
        _amount(diff.delta, d.unit), _interval(diff.low, diff.high, d.unit), diff.n, flips,
        "" if d.p_holm is None else f"{d.p_holm:.3g}",
        _amount(diff.mde, d.unit).lstrip("+"), d.verdict, d.lossless, _remarks(d),
    ]  # fmt: skip


def _remarks(d: Delta) -> str:
    """What makes the difference shaky; the noise floor with its size."""
    flags = [f for f in d.flags if f != "inside noise floor"]
    return "; ".join((*([d.why] if d.why else []), *flags))


def _part_rows(explained: Sequence[Attribution]) -> list[list[Value]]:
    return [
        [
            a.total.end.spec.variant.name, a.total.start.spec.variant.name,
            a.total.end.spec.work_name, a.metric, part.name,
            f"{part.start.spec.variant.name} on {part.start.spec.target.name}",
            f"{part.end.spec.variant.name} on {part.end.spec.target.name}",
            _amount(part.difference.delta, unit),
            _interval(part.difference.low, part.difference.high, unit),
            part.difference.n, part.note,
        ]
        for a in explained
        for unit in (a.unit,)
        for part in (a.total, *a.parts)
    ]  # fmt: skip


def _check_row(c: Check) -> list[Value]:
    place = " ".join(p for p in (c.task, c.point, c.target) if p)
    return [c.gate.text, c.variant, c.reference, place, c.outcome, told(c)]


def _title(c: Check) -> str:
    place = " ".join(p for p in (c.task, c.point, c.target) if p)
    return f"{c.gate.text}, {c.variant} against {c.reference}, {place}"


def told(c: Check) -> str:
    """What a check found: value, interval, and why it is not decided."""
    signed = c.gate.kind in ("change", "relative")
    unit = c.gate.unit
    if c.gate.kind == "relative" or not signed:
        unit = "share" if unit == "fraction" else unit
    parts = [_amount(c.value, unit, signed=signed)]
    if c.low is not None:
        parts.append(f"({_interval(c.low, c.high, unit, signed=signed)})")
    text = " ".join(p for p in parts if p)
    return "; ".join(t for t in (text, c.reason) if t)


def _amount(value: float | None, unit: str, *, signed: bool = True) -> str:
    """A number with its unit; fractions are points, shares are per cent."""
    if value is None:
        return ""
    sign = "+" if signed else ""
    if unit in ("fraction", "share"):
        return f"{100 * value:{sign}.2f} {'pp' if unit == 'fraction' else '%'}"
    return f"{value:{sign}.4g} {unit}".strip()


def _interval(low: float | None, high: float | None, unit: str, *, signed: bool = True) -> str:
    if low is None or high is None:
        return ""
    first = _amount(low, unit, signed=signed).rpartition(" ")[0] or _amount(low, unit)
    return f"{first} to {_amount(high, unit, signed=signed)}"
