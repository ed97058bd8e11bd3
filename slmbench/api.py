"""The composition root: what the command line and notebooks call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from slmbench.campaign import Campaign, CellState, Policy, Summary, states
from slmbench.errors import UsageError
from slmbench.plan import Plan, Selection, make_plan, task_definition
from slmbench.runner.environment import fingerprint
from slmbench.runner.events import Listener, Silent
from slmbench.spec import ModelsFile, Suite
from slmbench.spec.load import load_models, load_suite
from slmbench.store import only_campaign
from slmbench.store.noise import adopt_noise

if TYPE_CHECKING:
    from slmbench.analysis import Comparison
    from slmbench.store.rescore import RescoreSummary

DEMO_SUITES = (
    "accuracy",
    "fidelity",
    "hallucination",
    "bias",
    "latency",
    "memory",
    "energy",
)
"""The suites that ship with slmbench, in the order in which the demo runs them."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to run: names or paths of suites, a models file, and the selection in them."""

    suites: tuple[str, ...]
    models: str = "demo"
    selection: Selection = field(default_factory=Selection)
    overrides: tuple[str, ...] = ()
    """``path=value``: ``variants…`` and ``targets…`` go to the models file, ``NAME.…`` to the
    suite of that name, everything else to all suites."""
    recipes: tuple[str, ...] = ()
    """Recipes, by name or path: what they make is added to the models file's variants."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the files that it was made from."""

    plan: Plan
    models: ModelsFile


def plan_suites(request: Request) -> Planned:
    """Read the files and resolve every cell; runs and fetches nothing."""
    to_models, to_suites = _split_overrides(request)
    models = load_models(request.models, to_models, request.recipes)
    suites = [load_suite(name, to_suites[name]) for name in request.suites]
    _refuse_twins(suites)
    tasks = {task.task for suite in suites for task in suite.tasks}
    definitions = {name: task_definition(name) for name in sorted(tasks)}
    return Planned(make_plan(suites, models, request.selection, definitions), models)


def cell_states(planned: Planned, results: Path) -> tuple[CellState, ...]:
    """What the results folder knows of each planned cell on this machine."""
    return states(results, planned.plan.cells)


def run_suites(
    request: Request,
    results: Path,
    *,
    policy: Policy | None = None,
    listener: Listener | None = None,
) -> Summary:
    """Run a request into a results folder; finished cells are not run again.

    Raises UsageError and its kin for bad files, InterruptedRunError on Ctrl-C.

    >>> run_suites(Request(("accuracy",), "demo"), Path("results"))  # doctest: +SKIP
    """
    planned = plan_suites(request)
    campaign = Campaign(
        planned.plan,
        planned.models,
        results,
        listener or Silent(),
        policy or Policy(),
    )
    try:
        return campaign.run()
    finally:
        if results.is_dir():
            adopt_noise(results, fingerprint(()).machine)


def report(
    results: Path, out: Path, *, title: str = "slmbench", only: Set[str] | None = None
) -> Path:
    """Write one self-contained page about a results folder (or some digests of it)."""
    from slmbench.analysis import load_results
    from slmbench.report import write_report

    return write_report(load_results(results, only=only), out, title=title)


def compare(
    results: Path, *, against: str = "parent", vary: Sequence[str] = (), margin: float | None = None
) -> Comparison:
    """Paired differences of every variant from its parent, its base, or a variant by name.

    As :meth:`slmbench.Results.compare`, but runs that must not be compared raise
    IncomparableRunsError instead of being listed.
    """
    from slmbench.analysis import load_results
    from slmbench.analysis.compare import Asked
    from slmbench.analysis.compare import compare as compared

    asked = Asked(against=against, vary=tuple(vary), margin=margin)
    return compared(load_results(results), asked)


def rescore(results: Path, *, check: bool = False) -> RescoreSummary:
    """Judge the kept answers of every run again, without a model; sealed files stay as they are.

    With ``check`` nothing is written: runs whose scores would differ are ``changed``. Raises
    UsageError when there is no such folder or a run is writing into it.
    """
    from slmbench.store.rescore import rescore_store

    if not results.is_dir():
        raise UsageError(
            f"no results folder at {results}", hint="`slmbench run` or `slmbench demo` make one"
        )
    if check:
        return rescore_store(results, write=False)
    with only_campaign(results):
        return rescore_store(results, write=True)


def _split_overrides(request: Request) -> tuple[tuple[str, ...], Mapping[str, tuple[str, ...]]]:
    models = tuple(o for o in request.overrides if _head(o) in ("variants", "targets"))
    rest = [o for o in request.overrides if o not in models]
    stems = {Path(name).stem: name for name in request.suites}
    per_suite: dict[str, tuple[str, ...]] = {}
    for stem, name in stems.items():
        mine = [o for o in rest if _head(o) not in stems]
        mine += [o.split(".", 1)[1] for o in rest if _head(o) == stem]
        per_suite[name] = tuple(mine)
    return models, per_suite


def _head(override: str) -> str:
    return override.partition("=")[0].partition(".")[0]


def _refuse_twins(suites: Sequence[Suite]) -> None:
    names = [s.name for s in suites]
    twins = sorted({n for n in names if names.count(n) > 1})
    if twins:
        raise UsageError(f"two suites are named {', '.join(twins)}", hint="name them apart")
