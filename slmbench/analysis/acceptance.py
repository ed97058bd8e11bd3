"""Acceptance gates: what a variant must keep, written as ``METRIC:BOUND``.

============================  ==============================================================
``acc_norm:-1pp``             may lose at most one percentage point (non-inferiority)
``gold_bpb:+0.02``            may rise by at most 0.02 in the metric's unit
``ttft:+10%``                 may take at most 10 % longer than the reference (ratio of medians)
``decode_rate:-5%``           may be at most 5 % slower
``flips:<3%``                 correctness of fewer than 3 % of the items may change
``acc:>0.4``, ``ttft:<250ms``  the variant's own value, whatever the reference has
============================  ==============================================================

A signed bound is a limit on the change, on the side where the metric gets worse. An interval
(95 %) wholly within the bound passes, one wholly beyond it fails, and one that reaches across is
inconclusive: neither. Several gates are not adjusted for being several.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from slmbench.errors import UnknownNameError, UsageError
from slmbench.metrics import METRICS

FLIPS = "flips"
"""Share of items whose correctness changed, in the primary metric of each task."""
EXAMPLES = "acc_norm:-1pp, flips:<3%, ttft:+10%, decode_rate:-5%, acc:>0.4, ttft:<250ms"

Kind = Literal["change", "relative", "below", "above"]

_SCALES: Mapping[str, Mapping[str, float]] = {
    "fraction": {"": 1, "pp": 0.01, "%": 0.01},
    "s": {"": 1, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6},
    "bytes": {
        "": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
    },
}  # fmt: skip
_PARTS = (
    ("the name of a metric", re.compile(r"\s*([A-Za-z]\w*)\s*")),
    ("':'", re.compile(r"(:)\s*")),
    ("one of < > + -", re.compile(r"([<>+-])\s*")),
    ("a number", re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*")),
    ("a unit", re.compile(r"([^\s\d<>:+-]*)\s*")),
    ("the end", re.compile(r"($)")),
)


@dataclass(frozen=True, slots=True)
class Gate:
    """One bound on one metric."""

    text: str
    """As it was given."""
    metric: str
    """Key of the metrics table, or ``flips``."""
    kind: Kind
    """``change``: variant minus reference. ``relative``: their ratio minus 1. ``below`` and
    ``above``: the variant's own value, or the flip rate."""
    bound: float
    """In the metric's unit, or a fraction; signed for changes."""

    @property
    def unit(self) -> str:
        """Unit of the bound and of what is held against it."""
        shares = self.metric == FLIPS or self.kind == "relative"
        return "fraction" if shares else METRICS[self.metric].unit

    @property
    def at_least(self) -> bool:
        """Whether the bound is a lower one."""
        if self.kind in ("below", "above"):
            return self.kind == "above"
        return METRICS[self.metric].direction == "higher"


def parse_gate(text: str) -> Gate:
    """Read one gate; UsageError with the column and examples when it cannot be read.

    >>> parse_gate("acc_norm:-1pp").bound, parse_gate("ttft:+10%").kind
    (-0.01, 'relative')
    """
    found: list[str] = []
    columns: list[int] = []
    place = 0
    plain = text.replace("−", "-")  # a minus copied from the page
    for expected, pattern in _PARTS:
        match = pattern.match(plain, place)
        if match is None:
            _refuse(text, place, f"expected {expected}")
        found.append(match[1])
        columns.append(match.start(1))
        place = match.end()
    name, _, sign, number, unit, _ = found
    if name != FLIPS and name not in METRICS:
        raise UnknownNameError("metric in --gate", name, [*METRICS, FLIPS])
    kind = _kind(text, name, sign, unit, columns)
    scales = _scales(name, kind)
    if unit not in scales:
        allowed = ", ".join(u or "no unit" for u in scales)
        _refuse(text, columns[4], f"{name} has no unit {unit!r} here (allowed: {allowed})")
    size = float(number) * scales[unit]
    return Gate(text, name, kind, -size if sign == "-" else size)


def _kind(text: str, name: str, sign: str, unit: str, columns: list[int]) -> Kind:
    if sign in "<>":
        if unit == "pp":
            _refuse(text, columns[4], "pp is for changes (+ or -); a level is written in %")
        return "below" if sign == "<" else "above"
    if name == FLIPS:
        _refuse(text, columns[2], "flips are a level: expected <")
    if METRICS[name].direction == "none":
        _refuse(text, columns[2], f"{name} has no better side: expected < or >")
    if unit != "%":
        return "change"
    if METRICS[name].unit == "fraction":
        _refuse(text, columns[4], f"{name} is a share: write points, as in {name}:{sign}1pp")
    return "relative"


def _scales(name: str, kind: Kind) -> Mapping[str, float]:
    if kind == "relative":
        return {"%": 0.01}
    unit = "fraction" if name == FLIPS else METRICS[name].unit
    return _SCALES.get(unit, {"": 1, unit: 1})


def parse_margin(text: str) -> float:
    """A margin for shares: ``1pp``, ``1%`` or ``0.01``; UsageError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(pp|%|)\s*", text)
    value = float(match[1]) * (0.01 if match[2] else 1) if match else 0.0
    if not 0 < value < 1:
        raise UsageError(
            f"--margin {text!r}: expected points above 0 and below 100",
            hint="examples: --margin 1pp, --margin 0.01",
        )
    return value


def _refuse(text: str, place: int, why: str) -> NoReturn:
    raise UsageError(f"--gate {text!r}, column {place + 1}: {why}", hint=f"examples: {EXAMPLES}")


def refuse_absent(gate: Gate, present: Iterable[str]) -> NoReturn:
    """Raise UsageError for a metric that none of the results can be judged by."""
    known: Collection[str] = sorted(set(present))
    raise UsageError(
        f"--gate {gate.text!r}: no result here can be judged by {gate.metric}",
        hint=f"there are: {', '.join(known) or 'none'}",
    )
