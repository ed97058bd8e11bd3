"""Tables of energy and of sustained work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from slmbench.analysis.columns import IDENTITY, METRIC_COLUMNS, Column, frame
from slmbench.analysis.energy import Agreement, EnergyRow, Information
from slmbench.analysis.run_frames import ROW_VALUES, run_frame
from slmbench.analysis.stability import joined
from slmbench.analysis.sustained import Sustained


def _text(name: str, description: str) -> Column:
    return Column(name, "=energy", "string", description)


def _number(name: str, description: str, unit: str = "") -> Column:
    return Column(name, "=energy", "Float64", description, unit)


ENERGY_COLUMNS: tuple[Column, ...] = (
    *METRIC_COLUMNS,
    _text("grade", "A wall, B counter, C sampled, D load model, E constant; null: no source"),
    _text("source", "the grade in words"),
    Column("ranked", "=energy", "boolean", "may be ranked, among its own grade only"),
)
AGREEMENT_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _text("point", "workload point"),
    _text("scope", "what was measured"),
    _text("grade", "of the measured energy"),
    _text("model_scope", "what codecarbon modelled"),
    _text("model_grade", "D load model, E constant"),
    _number("measured_w", "mean power by the meter", "W"),
    _number("modelled_w", "mean power of the model", "W"),
    _number("ratio", "modelled / measured energy, median over windows"),
    _number("ratio_low", "lower end of the 95 % interval"),
    _number("ratio_high", "upper end of the 95 % interval"),
    Column("n", "=energy", "Int64", "windows", "count"),
)
INFORMATION_COLUMNS: tuple[Column, ...] = (
    _text("suite", "suite"),
    _text("size", "demo, standard or full"),
    _text("machine", "fingerprint of the machine"),
    _text("target", "target name"),
    _text("point", "workload point"),
    _text("metric", "energy per request: gross, net or modelled"),
    _text("scope", "what it covers"),
    _text("grade", "its grade"),
    Column("n", "=energy", "Int64", "variants", "count"),
    _number("r", "Pearson correlation with the time per request"),
    Column("own_information", "=energy", "boolean", "r at most 0.99; null: too few to tell"),
    _text("verdict", "in words"),
)
SUSTAINED_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _text("point", "workload point"),
    Column("process", "=sustained", "Int64", "process of the run"),
    _number("seconds", "length of the back-to-back work", "s"),
    Column("requests", "=sustained", "Int64", "requests answered", "count"),
    _number("burst_rate", "first minute", "tok/s"),
    _number("sustained_rate", "second half", "tok/s"),
    _number("change_at_s", "where the best single change of level lies", "s"),
    _number("before", "mean rate before it", "tok/s"),
    _number("after", "mean rate after it", "tok/s"),
    _number("p", "of a change that large, block permutation"),
    Column("throttled", "=sustained", "boolean", "a meter saw throttling"),
    _text("verdict", "in words"),
    _text("flags", "what meters saw"),
)


def energy_frame(rows: Sequence[EnergyRow]) -> pd.DataFrame:
    """One row a figure of an energy workload (``ENERGY_COLUMNS``)."""
    shared: dict[str, Callable[[EnergyRow], object]] = {
        name: _of_row(getter) for name, getter in ROW_VALUES.items()
    }
    own: Mapping[str, Callable[[EnergyRow], object]] = {
        "grade": lambda r: r.grade,
        "source": lambda r: r.source or None,
        "ranked": lambda r: r.ranked,
    }
    names = {c.name for c in ENERGY_COLUMNS}
    getters = {name: getter for name, getter in {**shared, **own}.items() if name in names}
    return run_frame(ENERGY_COLUMNS, rows, lambda r: r.row.run, getters)


def _of_row(getter: Callable[..., object]) -> Callable[[EnergyRow], object]:
    return lambda r: getter(r.row)


def agreement_frame(rows: Sequence[Agreement]) -> pd.DataFrame:
    """One row a run and point with both energies (``AGREEMENT_COLUMNS``)."""
    plain = ("point", "scope", "grade", "model_scope", "model_grade", "measured_w", "modelled_w")
    getters: dict[str, Callable[[Agreement], object]] = {name: _named(name) for name in plain}
    getters |= {
        "ratio": lambda r: r.ratio.value,
        "ratio_low": lambda r: r.ratio.low,
        "ratio_high": lambda r: r.ratio.high,
        "n": lambda r: r.ratio.n,
    }
    return run_frame(AGREEMENT_COLUMNS, rows, lambda r: r.run, getters)


def information_frame(rows: Sequence[Information]) -> pd.DataFrame:
    """One row a verdict (``INFORMATION_COLUMNS``)."""
    values = {c.name: [getattr(row, c.name) for row in rows] for c in INFORMATION_COLUMNS}
    return frame(INFORMATION_COLUMNS, values)


def sustained_frame(rows: Sequence[Sustained]) -> pd.DataFrame:
    """One row a process and point (``SUSTAINED_COLUMNS``)."""
    plain = ("point", "process", "seconds", "requests", "throttled", "verdict")
    getters: dict[str, Callable[[Sustained], object]] = {name: _named(name) for name in plain}
    getters |= {
        "burst_rate": lambda r: r.burst,
        "sustained_rate": lambda r: r.steady,
        "change_at_s": lambda r: r.change.at_s if r.change else None,
        "before": lambda r: r.change.before if r.change else None,
        "after": lambda r: r.change.after if r.change else None,
        "p": lambda r: r.change.p if r.change else None,
        "flags": lambda r: joined(r.flags),
    }
    return run_frame(SUSTAINED_COLUMNS, rows, lambda r: r.run, getters)


def _named(name: str) -> Callable[[object], object]:
    return lambda row: getattr(row, name)
