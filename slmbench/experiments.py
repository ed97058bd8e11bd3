"""Carry out an experiment: make its variants, run its suites, keep what belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import slmbench
from slmbench.api import Planned, Request, plan_suites
from slmbench.derivations import Derived, Goal, check_texts, expectations, needed_for
from slmbench.errors import SlmbenchError, SpecError, UsageError
from slmbench.kept_variants import keep_variants
from slmbench.lifecycle import Artefacts
from slmbench.plan import Selection, identify
from slmbench.spec import ModelsFile
from slmbench.spec.experiment import Asked, Experiment
from slmbench.spec.load import load_experiment, load_models
from slmbench.store import only_campaign
from slmbench.store.experiments import KeptExperiment, MemberVariant, save_experiment

_MODELS = ("variants", "targets", "recipes")


@dataclass(frozen=True, slots=True)
class Experimental:
    """An experiment, resolved: its variants, and a request for each suite that it asks."""

    experiment: Experiment
    models: ModelsFile
    requests: tuple[Request, ...]
    planned: tuple[Planned, ...]

    @property
    def wanted(self) -> tuple[str, ...]:
        """Variants that are made whether or not a suite asks for them: those of the arms."""
        return self.experiment.arm_variants()

    @property
    def cells(self) -> int:
        """Cells of all suites."""
        return sum(len(p.plan.cells) for p in self.planned)


@dataclass(frozen=True, slots=True)
class NotMade:
    """A variant that could not be made."""

    variant: str
    reason: str
    hint: str


def resolve(where: str | Path, overrides: Sequence[str] = ()) -> Experimental:
    """Read the experiment's files and plan its suites; runs and makes nothing.

    ``overrides`` beginning with ``variants``, ``targets`` or ``recipes`` go to the models file, all
    others to the experiment's own file. Raises UsageError and its kin for bad files, and SpecError
    for an arm or a suite that names a variant that the models file does not list.
    """
    to_models = tuple(o for o in overrides if o.partition("=")[0].partition(".")[0] in _MODELS)
    experiment = load_experiment(where, [o for o in overrides if o not in to_models])
    at = _beside(experiment.models, where)
    models = load_models(at, to_models)
    _check_names(experiment, models)
    check_texts(models.variants)
    requests = tuple(_request(asked, at, where, to_models) for asked in experiment.suites)
    planned = tuple(map(_plan, experiment.suites, requests))
    return Experimental(experiment, models, requests, planned)


def to_make(wanted: Experimental) -> tuple[Derived, ...]:
    """Every variant that is needed, parents first, with what making it is estimated to take."""
    names = {c.variant.name for planned in wanted.planned for c in planned.plan.cells}
    names |= set(wanted.wanted)
    found: dict[str, Derived] = {}
    for variant in wanted.models.variants:
        if variant.name in names:
            goal = Goal(variant.name, needed_for(wanted.models, variant.name))
            for row in expectations(goal):
                found.setdefault(row.variant.name, row)
    return tuple(found.values())


def make_variants(
    wanted: Experimental, results: Path, report: Callable[[str], None]
) -> tuple[NotMade, ...]:
    """Make the variants of the arms, parents first, and keep how that went in the results folder.

    A variant that cannot be made is a result of the experiment: it is returned, not raised.
    """
    artefacts = Artefacts(wanted.models, report)
    artefacts.make(wanted.wanted)
    failed = []
    for name in wanted.wanted:
        found = artefacts.of(name)
        if isinstance(found, SlmbenchError):
            failed.append(NotMade(name, found.message, found.hint or ""))
    with only_campaign(results):
        keep_variants(results, artefacts)
        save_experiment(results, kept(wanted))
    return tuple(failed)


def kept(wanted: Experimental) -> KeptExperiment:
    """What is remembered of the experiment beside its results."""
    refs = identify(wanted.models)
    cells = [c.spec.digest for planned in wanted.planned for c in planned.plan.cells]
    return KeptExperiment(
        experiment=wanted.experiment,
        members=tuple(
            MemberVariant(variant=v, digest=refs[v.name].digest) for v in wanted.models.variants
        ),
        cells=tuple(dict.fromkeys(cells)),
        slmbench_version=slmbench.__version__,
    )


def _plan(asked: Asked, request: Request) -> Planned:
    """Plan a suite; what is wrong with it is said to be of that suite."""
    try:
        return plan_suites(request)
    except UsageError as error:
        raise UsageError(f"suites.{asked.suite}: {error.message}", hint=error.hint) from error


def _request(asked: Asked, models: str, where: str | Path, overrides: tuple[str, ...]) -> Request:
    return Request(
        suites=(_beside(asked.suite, where),),
        models=models,
        selection=Selection(size=asked.size, variants=asked.variants, targets=asked.targets),
        overrides=(*asked.overrides, *overrides),
    )


def _beside(name: str, where: str | Path) -> str:
    """A path in an experiment's file is relative to it; a name stays one."""
    if not (name.endswith((".yaml", ".yml")) or "/" in name):
        return name
    return str(Path(where).parent / Path(name).expanduser())


def _check_names(experiment: Experiment, models: ModelsFile) -> None:
    known = {v.name for v in models.variants}
    problems = [
        f"experiment {experiment.name}: arms.{arm.name}: there is no variant {name!r} in "
        f"{experiment.models}"
        for arm in experiment.arms
        for name in arm.variants
        if name not in known
    ]
    problems += [
        f"experiment {experiment.name}: suites.{asked.suite}: there is no variant {name!r} in "
        f"{experiment.models}"
        for asked in experiment.suites
        for name in asked.variants
        if name not in known
    ]
    if problems:
        raise SpecError(problems, hint=f"there are: {', '.join(sorted(known))}")
