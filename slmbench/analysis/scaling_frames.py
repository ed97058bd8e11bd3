"""The tables of scaling with the length of the context."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from slmbench.analysis.columns import IDENTITY, Column
from slmbench.analysis.run_frames import run_frame
from slmbench.analysis.scaling import Exponent
from slmbench.analysis.scaling_curves import Scaling
from slmbench.analysis.stability import joined
from slmbench.analysis.statistics import Estimate

Getter = Callable[[Any], object]


def _number(name: str, description: str, unit: str = "") -> Column:
    return Column(name, "=scaling", "Float64", description, unit)


def _text(name: str, description: str) -> Column:
    return Column(name, "=scaling", "string", description)


def _estimate(name: str, description: str, unit: str) -> tuple[Column, ...]:
    return (
        _number(name, description, unit),
        _number(f"{name}_low", "lower end of the 95 % interval", unit),
        _number(f"{name}_high", "upper end of the 95 % interval", unit),
    )


SCALING_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _text("quantity", "prefill (time to first token) or decode (time per output token)"),
    Column("lengths", "=scaling", "Int64", "lengths that were measured", "count"),
    _number("shortest", "shortest length", "tokens"),
    _number("longest", "longest length", "tokens"),
    Column("processes", "=scaling", "Int64", "processes that measured all lengths", "count"),
    Column("repetitions", "=scaling", "Int64", "fewest repetitions of a length", "count"),
    *_estimate("fixed", "a of t = a + bT + cT²: what any length costs", "s"),
    *_estimate("per_token", "b: what a further token costs", "s/token"),
    *_estimate("per_pair", "c: what a pair of tokens costs; null for decode", "s/token²"),
    *_estimate("crossover", "T* = b/c; null unless c is resolved", "tokens"),
    *_estimate("pair_share", "cT²/t at the longest length", "fraction"),
    _number("held_out_r2", "R² of predicting each length from the others", "fraction"),
    _number("held_out_error", "largest relative error of these predictions", "fraction"),
    _number("kv_seconds", "decode: KV bytes of a token / read bandwidth", "s/token"),
    *_estimate("kv_ratio", "decode: per_token over kv_seconds", ""),
    _text("kv_reason", "why there is no kv_ratio"),
    _text("verdict", "in words: quadratic term resolved, linear within error …"),
    _text("ci_method", "how the intervals were made"),
    _text("provenance", "derived, or unavailable"),
    _text("reason", "why there is no fit"),
    _text("flags", "what makes the numbers shaky"),
)

EXPONENT_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _text("quantity", "prefill (time to first token) or decode (time per output token)"),
    _number("shorter", "shorter of two neighbouring lengths", "tokens"),
    _number("longer", "longer one", "tokens"),
    _number("time_shorter", "time at the shorter length", "s"),
    _number("time_longer", "time at the longer length", "s"),
    *_estimate("exponent", "dlog t / dlog T between them: 1 linear, 2 quadratic", ""),
    Column("n", "=scaling", "Int64", "processes, or repetitions of the only one", "count"),
    _text("ci_method", "how the interval was made"),
    _text("flags", "what makes the number shaky"),
)


def _ends(name: str, pick: Callable[[Any], Estimate | None]) -> dict[str, Getter]:
    """Value and both ends of an estimate that may be missing."""

    def get(part: str) -> Getter:
        def found(row: Any) -> object:
            estimate = pick(row)
            return None if estimate is None else getattr(estimate, part)

        return found

    return {name: get("value"), f"{name}_low": get("low"), f"{name}_high": get("high")}


def _of_curve(pick: Callable[[Any], object]) -> Getter:
    return lambda r: None if r.curve is None else pick(r.curve)


def _of_fit(pick: Callable[[Any], Any]) -> Getter:
    return lambda r: None if r.fit is None else pick(r.fit)


_SCALING: Mapping[str, Getter] = {
    "quantity": lambda r: r.quantity,
    "lengths": _of_curve(lambda c: len(c.lengths)),
    "shortest": _of_curve(lambda c: c.lengths[0]),
    "longest": _of_curve(lambda c: c.lengths[-1]),
    "processes": _of_curve(lambda c: c.processes),
    "repetitions": _of_curve(lambda c: c.repetitions),
    **_ends("fixed", lambda r: r.fit and r.fit.fixed),
    **_ends("per_token", lambda r: r.fit and r.fit.per_token),
    **_ends("per_pair", lambda r: r.fit and r.fit.per_pair),
    **_ends("crossover", lambda r: r.fit and r.fit.crossover),
    **_ends("pair_share", lambda r: r.fit and r.fit.pair_share),
    "held_out_r2": _of_fit(lambda f: f.held_out_r2),
    "held_out_error": _of_fit(lambda f: f.held_out_error),
    "kv_seconds": lambda r: r.kv_seconds,
    **_ends("kv_ratio", lambda r: r.kv_ratio),
    "kv_reason": lambda r: r.kv_reason or None,
    "verdict": _of_fit(lambda f: f.verdict),
    "ci_method": _of_fit(lambda f: f.per_token.method),
    "provenance": lambda r: "derived" if r.fit else "unavailable",
    "reason": lambda r: r.reason or None,
    "flags": lambda r: joined(r.flags),
}

_EXPONENTS: Mapping[str, Getter] = {
    "quantity": lambda r: r[0].quantity,
    "shorter": lambda r: r[1].shorter,
    "longer": lambda r: r[1].longer,
    "time_shorter": lambda r: r[1].time_shorter,
    "time_longer": lambda r: r[1].time_longer,
    **_ends("exponent", lambda r: r[1].estimate),
    "n": lambda r: r[1].estimate.n,
    "ci_method": lambda r: r[1].estimate.method,
    "flags": lambda r: joined(r[0].flags),
}


def scaling_frame(rows: Iterable[Scaling]) -> pd.DataFrame:
    """One row a run and quantity (``SCALING_COLUMNS``)."""
    return run_frame(SCALING_COLUMNS, rows, lambda row: row.run, _SCALING)


def exponent_frame(rows: Iterable[Scaling]) -> pd.DataFrame:
    """One row a pair of neighbouring lengths (``EXPONENT_COLUMNS``)."""
    pairs: list[tuple[Scaling, Exponent]] = [(row, e) for row in rows for e in row.exponents]
    return run_frame(EXPONENT_COLUMNS, pairs, lambda row: row[0].run, _EXPONENTS)
