"""``slmbench list``: what there is. Imports as little as the list needs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from slmbench.cli.output import Value, emit
from slmbench.errors import UsageError

Rows = tuple[Sequence[str], list[tuple[Value, ...]]]


def execute(arguments: argparse.Namespace) -> int:
    """Rows whose name contains the filter."""
    lists: dict[str, Callable[[], Rows]] = {
        "suites": _suites,
        "tasks": _tasks,
        "models": _models,
        "recipes": recipe_rows,
        "experiments": _experiments,
        "backends": _backends,
        "metrics": _metrics,
        "meters": _meters,
    }
    columns, rows = lists[arguments.what]()
    if arguments.results is not None:
        columns, rows = _with_signatures(arguments, columns, rows)
    kept = [row for row in rows if arguments.filter in str(row[0])]
    emit(columns, kept, arguments.format)
    print(f"{len(kept)} {arguments.what}", file=sys.stderr)
    return 0


def _with_signatures(
    arguments: argparse.Namespace, columns: Sequence[str], rows: list[tuple[Value, ...]]
) -> Rows:
    """One more column: what the results show of each variant."""
    if arguments.what != "models":
        raise UsageError("--results goes with `slmbench list models`", hint="drop --results")
    from slmbench.cli.signatures import by_variant

    seen = by_variant(Path(arguments.results))
    return (*columns, "signatures"), [(*row, seen.get(str(row[0]), "not run")) for row in rows]


def _suites() -> Rows:
    from slmbench.spec.load import load_suite, suite_names

    suites = [load_suite(name) for name in suite_names()]
    rows: list[tuple[Value, ...]] = [
        (
            s.name,
            s.title,
            ", ".join([*(t.task for t in s.tasks), *(w.workload for w in s.workloads)]),
            ", ".join(s.sizes),
        )
        for s in suites
    ]
    return ("suite", "title", "tasks and workloads", "sizes"), rows


def _tasks() -> Rows:
    from slmbench.tasks.index import list_tasks

    tasks = list_tasks()
    if not any(t.source == "lm-eval" for t in tasks):
        print("lm-eval is not installed: only our own tasks are listed", file=sys.stderr)
    return ("task", "source", "folder"), [(t.name, t.source, t.folder) for t in tasks]


def _models() -> Rows:
    from slmbench.spec.load import load_models, models_names

    rows: list[tuple[Value, ...]] = []
    for name in models_names():
        models = load_models(name)
        targets = ", ".join(t.name for t in models.targets)
        rows += [
            (v.name, name, v.stage, v.technique, v.parent, v.format, v.licence, targets)
            for v in models.variants
        ]
    columns = ("variant", "file", "stage", "technique", "parent", "format", "licence", "targets")
    return columns, rows


def recipe_rows() -> Rows:
    """The recipes that ship with slmbench."""
    from slmbench.spec.load import load_recipe, recipe_names

    rows: list[tuple[Value, ...]] = []
    for name in recipe_names():
        recipe = load_recipe(name)
        steps = " → ".join(variant.technique for variant in recipe.variants())
        budget = recipe.budget
        rows.append(
            (
                name,
                recipe.title,
                recipe.parent,
                steps,
                budget.minutes,
                budget.memory_mb,
                recipe.models,
            )
        )
    columns = ("recipe", "title", "parent", "steps", "minutes", "memory_mb", "models file")
    return columns, rows


def _experiments() -> Rows:
    from slmbench.spec.load import experiment_names, load_experiment

    rows: list[tuple[Value, ...]] = []
    for name in experiment_names():
        found = load_experiment(name)
        suites = ", ".join(f"{asked.suite} ({asked.size})" for asked in found.suites)
        rows.append((name, found.question, found.models, suites, found.budget.minutes))
    return ("experiment", "question", "models file", "suites", "minutes"), rows


def _backends() -> Rows:
    from slmbench.backends import BACKENDS, CAPABILITIES

    rows: list[tuple[Value, ...]] = []
    for name in BACKENDS.names():
        can = CAPABILITIES.get(name) or BACKENDS.load(name).capabilities
        rows.append((name, ", ".join(can.formats), ", ".join(can.devices)))
    return ("backend", "formats", "devices"), rows


def _metrics() -> Rows:
    from slmbench.metrics import METRICS

    rows: list[tuple[Value, ...]] = [
        (m.name, m.unit, m.direction, m.aggregate, m.label, m.definition) for m in METRICS.values()
    ]
    return ("metric", "unit", "direction", "aggregate", "label", "definition"), rows


def _meters() -> Rows:
    from slmbench.meters import METERS

    rows: list[tuple[Value, ...]] = []
    for name in METERS.names():
        found = METERS.load(name).availability()
        rows.append((name, found.ok, found.reason, found.fix))
    return ("meter", "available", "reason", "fix"), rows
