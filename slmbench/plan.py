"""Suites × variants × targets -> cells, and every combination left out with its reason.

Everything open in the files is resolved here: threads, sizes, identities. Nothing is fetched.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from slmbench.backends import BACKENDS, CAPABILITIES, Capabilities
from slmbench.content import content_of
from slmbench.data.catalogue import by_hub
from slmbench.data.providers import revision
from slmbench.errors import ArtefactError, UnknownNameError, UsageError
from slmbench.obstacles import draftless, meaningless, obstacle, unfit
from slmbench.records import SkipRecord
from slmbench.spec import (
    ModelsFile,
    RunSpec,
    SizeKnobs,
    Suite,
    SuiteTask,
    SuiteWorkload,
    Target,
    TaskSpec,
    Variant,
    VariantRef,
    WorkloadSpec,
)
from slmbench.spec.identity import recipe_digest, source_digest
from slmbench.spec.suite import Perturbation, Size
from slmbench.tasks.definitions import dataset_of, definition_digest
from slmbench.tasks.fidelity import FIDELITY, Pairing, text_digest
from slmbench.tasks.perturbed import disturbed_definition
from slmbench.tasks.workloads import LIMITED, SERVED, WORKLOADS, points_of

_TIMEOUT_S = 1800.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cell:
    """One planned cell: what to run, and the variant as the models file has it."""

    spec: RunSpec
    variant: Variant


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run, in order, and what will not."""

    cells: tuple[Cell, ...]
    skips: tuple[SkipRecord, ...]
    suites: tuple[Suite, ...] = ()
    """That it was made from."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the user asked for; empty tuples mean everything."""

    size: Size = "demo"
    variants: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


def make_plan(
    suites: Sequence[Suite],
    models: ModelsFile,
    selection: Selection,
    definitions: Mapping[str, str],
) -> Plan:
    """All cells, variants outermost so that a model is loaded for one stretch.

    ``definitions`` gives the digest of each task's definition. Raises UnknownNameError,
    UsageError and ArtefactError (a ``file:`` source that is not there).
    """
    variants = _chosen("variant", selection.variants, {v.name: v for v in models.variants})
    targets = _chosen("target", selection.targets, {t.name: t for t in models.targets})
    refs = identify(models)
    capabilities = {t.name: _capabilities(t.backend) for t in targets}
    pairing = _pairing(models, refs, variants, targets)
    cells: list[Cell] = []
    skips: list[SkipRecord] = []
    for variant in variants:
        for target in targets:
            can = capabilities[target.name]
            reason = obstacle(variant, target, can) or draftless(models, variant, target, can)
            for suite in suites:
                tasks = [t for t in suite.tasks if t.asked_at(selection.size)]
                loads = [w for w in suite.workloads if w.asked_at(selection.size)]
                works: tuple[SuiteTask | SuiteWorkload, ...] = (*tasks, *loads)
                for work in works:
                    misfit = unfit(target, capabilities[target.name], work)
                    if why := reason or misfit or meaningless(models, variant, work):
                        skips.append(_skip(suite, variant, target, work, why))
                        continue
                    asked = [
                        _cell(suite, selection.size, refs[variant.name], one, work, definitions)
                        for one in _threaded(target, suite, work, selection.size)
                    ]
                    if target.draft is not None:
                        draft = {"draft": refs[target.draft]}
                        asked = [spec.model_copy(update=draft) for spec in asked]
                    paired = [p for spec in asked for p in _paired(spec, work, pairing)]
                    cells += [Cell(p, variant) for p in paired]
                    if not paired:
                        why = pairing.why_none(refs[variant.name])
                        skips.append(_skip(suite, variant, target, work, why))
    if not cells:
        raise UsageError(
            "nothing to run: no chosen variant can be loaded by a chosen target",
            hint="; ".join(sorted({s.reason for s in skips})),
        )
    return Plan(tuple(cells), tuple(skips), tuple(suites))


def identify(models: ModelsFile) -> dict[str, VariantRef]:
    """The identity of every variant, by name; hashes ``file:`` sources without a digest."""
    refs: dict[str, VariantRef] = {}
    for variant in models.variants:
        parent = refs[variant.parent].digest if variant.parent else None
        refs[variant.name] = VariantRef(
            name=variant.name,
            digest=_identity(variant, parent, refs),
            format=variant.format,
            stage=variant.stage,
            technique=variant.technique,
            parent=variant.parent,
            parent_digest=parent,
            licence=variant.licence,
            note=variant.note,
        )
    return refs


def _identity(variant: Variant, parent: str | None, refs: Mapping[str, VariantRef]) -> str:
    if variant.recipe is not None:
        others = [refs[name].digest for name in variant.recipe.others()]
        return recipe_digest(variant.recipe, parent, others)
    source = variant.source
    if source is None:
        return hashlib.sha256(f"fake:{variant.name}".encode()).hexdigest()
    if source.file is not None and source.sha256 is None:
        return _content_digest(Path(source.file))
    return source_digest(source)


def _content_digest(path: Path) -> str:
    try:
        return content_of(path).sha256
    except OSError as error:
        raise ArtefactError(
            f"{path}: {error.strerror}", hint="`file:` is relative to the models file's folder"
        ) from error


def resolve_target(target: Target) -> Target:
    """The target with ``threads: 0`` replaced by the cores that this process may use."""
    if target.threads:
        return target
    return target.model_copy(update={"threads": len(os.sched_getaffinity(0))})


def _capabilities(backend: str) -> Capabilities:
    if backend in CAPABILITIES:
        return CAPABILITIES[backend]
    return BACKENDS.load(backend).capabilities  # a third party's, or an unknown name


def _pairing(
    models: ModelsFile,
    refs: Mapping[str, VariantRef],
    variants: Sequence[Variant],
    targets: Sequence[Target],
) -> Pairing:
    formats = {v.name: v for v in models.variants}

    def loads(ref: VariantRef, target: Target) -> bool:
        can = _capabilities(target.backend)
        return target.draft is None and not obstacle(formats[ref.name], target, can)

    chosen = frozenset(v.name for v in variants)
    resolved = tuple(resolve_target(t) for t in targets)
    return Pairing(models, refs, chosen, resolved, loads, resolve_target)


def _paired(
    spec: RunSpec, asked: SuiteTask | SuiteWorkload, pairing: Pairing
) -> tuple[RunSpec, ...]:
    """The cell itself, with its baseline if one is asked for.

    For fidelity one per reference, and none without one.
    """
    work = spec.work
    if isinstance(work, TaskSpec):
        assert isinstance(asked, SuiteTask)
        beside = [work.without_question()] if asked.choices_only else []
        beside += [_disturbed(work, how) for how in asked.perturb]
        return (spec, *(spec.model_copy(update={"work": other}) for other in beside))
    if work.workload != FIDELITY:
        return (spec,)
    return tuple(
        spec.model_copy(update={"work": work.model_copy(update={"reference": reference})})
        for reference in pairing.of(spec.variant, spec.target)
    )


def task_definition(task: str) -> str:
    """What a task is, as a digest: its definition and, for a known data set, its revision.

    Raises UnknownNameError (no such task) and MissingEngineError (lm-eval is not installed).
    """
    digest, wanted = definition_digest(task), dataset_of(task)
    known = by_hub(wanted.path, wanted.config) if wanted is not None else None
    if known is None:
        return digest
    return hashlib.sha256(f"{digest}:{revision(known)}".encode()).hexdigest()


def _disturbed(work: TaskSpec, how: Perturbation) -> TaskSpec:
    """The same items in disturbed words; its definition covers how they are disturbed."""
    definition = disturbed_definition(work.definition, how)
    return work.disturbed(how).model_copy(update={"definition": definition})


def _skip(
    suite: Suite, variant: Variant, target: Target, work: SuiteTask | SuiteWorkload, reason: str
) -> SkipRecord:
    name = work.task if isinstance(work, SuiteTask) else work.workload
    return SkipRecord(
        suite=suite.name, variant=variant.name, target=target.name, work=name, reason=reason
    )


def _cell(
    suite: Suite,
    size: Size,
    ref: VariantRef,
    target: Target,
    work: SuiteTask | SuiteWorkload,
    definitions: Mapping[str, str],
) -> RunSpec:
    try:
        knobs = suite.sizes[size]
    except KeyError:
        raise UnknownNameError(f"size of suite {suite.name}", size, suite.sizes) from None
    if isinstance(work, SuiteWorkload):
        knobs = work.knobs(size, knobs)
    if isinstance(work, SuiteTask):
        resolved: TaskSpec | WorkloadSpec = _task(suite, work, size, definitions)
    else:
        resolved = _workload(suite, work, knobs)
    return RunSpec(
        suite=suite.name,
        size=size,
        variant=ref,
        target=_roomy(resolve_target(target), resolved),
        work=resolved,
        timeout_s=knobs.timeout_s or _TIMEOUT_S,
    )


def _task(suite: Suite, work: SuiteTask, size: Size, definitions: Mapping[str, str]) -> TaskSpec:
    items = work.items[size] if isinstance(work.items, dict) else work.items
    if items is None:
        items = suite.sizes[size].items
    named = items if isinstance(items, tuple) else None
    return TaskSpec(
        task=work.task,
        primary=work.primary,
        num_fewshot=work.num_fewshot,
        chat_template=work.chat_template,
        items=items if isinstance(items, int) else None if named is None else len(named),
        seed=suite.seed,
        definition=definitions[work.task],
        item_ids=named,
        shared_prefix=suite.scoring.shared_prefix,
        until=work.until or suite.until,
    )


def _workload(suite: Suite, work: SuiteWorkload, knobs: SizeKnobs) -> WorkloadSpec:
    if work.workload not in WORKLOADS:
        raise UnknownNameError("workload", work.workload, WORKLOADS)
    points = points_of(suite.name, knobs)
    if work.workload in SERVED and not knobs.loads:
        raise UsageError(
            f"suite {suite.name}: {work.workload} needs loads", hint="see suites/serving.yaml"
        )
    if work.workload in LIMITED and not knobs.memory_limits_mb:
        raise UsageError(
            f"suite {suite.name}: {work.workload} needs memory_limits_mb",
            hint="the limits of the devices in question, for example [1000, 2000]",
        )
    if work.workload == FIDELITY and len(points) > 1:
        raise UsageError(
            f"suite {suite.name}: fidelity takes one number of prompt_tokens and of output_tokens",
            hint="the context of a window and what is scored in it; `repeats` is their count",
        )
    return WorkloadSpec(
        workload=work.workload,
        points=points,
        repeats=knobs.repeats or 1,
        warmup=knobs.warmup or 0,
        budget_s=knobs.budget_s,
        window_s=knobs.window_s or 0.0,
        idle_s=knobs.idle_s or 0.0,
        seed=suite.seed,
        text=text_digest() if work.workload == FIDELITY else "",
        processes=knobs.processes or 1,
        max_processes=knobs.max_processes,
        precision=knobs.precision,
        loads=(knobs.loads or ()) if work.workload in SERVED else (),
        slo=knobs.slo if work.workload in SERVED else None,
        memory_limits=tuple(mb * 10**6 for mb in knobs.memory_limits_mb or ())
        if work.workload in LIMITED
        else (),
    )


def _threaded(target: Target, suite: Suite, work: SuiteTask | SuiteWorkload, size: Size,
              ) -> tuple[Target, ...]:  # fmt: skip
    """The target, or one for each thread count that the suite asks timed workloads to take."""
    knobs = suite.sizes.get(size)
    if isinstance(work, SuiteTask) or work.workload == FIDELITY or knobs is None:
        return (target,)
    counts = work.knobs(size, knobs).threads
    if not counts:
        return (target,)
    return tuple(
        target.model_copy(update={"threads": n, "name": f"{target.name}-t{n}"}) for n in counts
    )


def _roomy(target: Target, work: TaskSpec | WorkloadSpec) -> Target:
    """The target with a context that holds the workload's longest point."""
    if isinstance(work, TaskSpec) or not work.timed:
        return target
    longest = max(point.tokens * point.batch for point in work.points)
    return target.model_copy(update={"context": max(target.context, longest)})


def _chosen(kind: str, names: Sequence[str], known: Mapping[str, T]) -> list[T]:
    for name in names:
        if name not in known:
            raise UnknownNameError(kind, name, known)
    return [thing for name, thing in known.items() if not names or name in names]
