"""Declared columns are the columns that come out, and each declared path exists."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

import builders as b
import synthetic_store
from slmbench.analysis import columns, compare_to_parents, load_results
from slmbench.metrics import Metric
from slmbench.records import Measurement, PhaseRecord, ScoreRow
from slmbench.store import StoredRun

ROOTS = {"phase": PhaseRecord, "measurement": Measurement, "score": ScoreRow, "metric": Metric}
TABLES = (
    columns.RUN_COLUMNS,
    columns.METRIC_COLUMNS,
    columns.SAMPLE_COLUMNS,
    columns.ITEM_COLUMNS,
    columns.COMPARISON_COLUMNS,
    columns.FIDELITY_COLUMNS,
    columns.BASELINE_COLUMNS,
    columns.ATTRIBUTION_COLUMNS,
    columns.BIAS_FLIP_COLUMNS,
)
REQUIRED = {
    *("run_id", "digest", "variant", "parent", "stage", "technique", "backend", "device"),
    *("suite", "task", "metric", "value", "ci_low", "ci_high", "n", "unit", "direction"),
    *("provenance", "status", "flags"),
}


def _exists(kinds: list[object], names: list[str]) -> bool:
    """Whether every type of a union (None left out) has the attributes in turn."""
    if not names:
        return True
    name, rest = names[0], names[1:]
    for kind in kinds:
        if isinstance(getattr(kind, name, None), property):
            hints = typing.get_type_hints(getattr(kind, name).fget)["return"]
        else:
            assert isinstance(kind, type)
            hints = typing.get_type_hints(kind).get(name)
        if hints is None or not _exists(_members(hints), rest):
            return False
    return True


def _members(hint: object) -> list[object]:
    """The classes in a (possibly annotated, possibly optional) type hint."""
    if typing.get_origin(hint) is typing.Annotated:
        return _members(typing.get_args(hint)[0])
    parts = typing.get_args(hint) if "Union" in str(type(hint)) else ()
    if not parts:
        return [hint]
    return [m for part in parts if part is not type(None) for m in _members(part)]


@pytest.mark.parametrize(
    "column", dict.fromkeys(c for table in TABLES for c in table), ids=lambda c: c.name
)
def test_every_path_exists(column: columns.Column) -> None:
    if column.path.startswith("="):
        return
    root, *names = column.path.split(".")
    kinds: list[object] = [ROOTS[root]] if root in ROOTS else [StoredRun]
    assert _exists(kinds, names if root in ROOTS else [root, *names]), column.path


def test_the_walk_would_notice_a_wrong_path() -> None:
    assert not _exists([StoredRun], ["spec", "variant", "nmae"])
    assert not _exists([StoredRun], ["record", "model", "nothing"])
    assert issubclass(PhaseRecord, BaseModel)
    assert dataclasses.is_dataclass(StoredRun)


@pytest.mark.parametrize("table", TABLES)
def test_names_are_unique_and_described(table: tuple[columns.Column, ...]) -> None:
    names = [c.name for c in table]
    assert len(names) == len(set(names))
    assert all(c.description for c in table)


def test_tables_have_the_declared_columns_and_types(tmp_path: Path) -> None:
    results = load_results(synthetic_store.build(tmp_path, items=8))
    made = (
        results.runs(),
        results.metrics(),
        results.samples(),
        results.items(),
        compare_to_parents(results, strict=False).table(),
        results.fidelity(),
        results.baselines(),
        results.attribution(),
        results.bias_flips(),
    )
    for frame, table in zip(made, TABLES, strict=True):
        assert len(frame) > 0
        assert {n: str(d) for n, d in frame.dtypes.items()} == {c.name: c.dtype for c in table}
    assert set(made[1].columns) >= REQUIRED


def test_an_empty_store_has_the_same_columns(tmp_path: Path) -> None:
    results = load_results(tmp_path)
    assert list(results.metrics().columns) == [c.name for c in columns.METRIC_COLUMNS]
    assert str(results.metrics().dtypes["value"]) == "Float64"
    assert len(results.runs()) == len(results.samples()) == len(results.items()) == 0


def test_builders_make_valid_runs() -> None:
    assert b.cell(b.variant("a"), b.task()).digest == b.cell(b.variant("a"), b.task()).digest
