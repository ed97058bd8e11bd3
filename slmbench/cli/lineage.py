"""``slmbench lineage``: what was made of what, at what cost, and what it changed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from slmbench.analysis import load_results
from slmbench.analysis.lineage import Accuracies, LineageStep, quality_of, steps_of
from slmbench.analysis.variant_frame import KnownVariant, known_variants
from slmbench.errors import UsageError
from slmbench.lifecycle import find
from slmbench.plan import identify
from slmbench.records import Provenance
from slmbench.spec.load import load_models
from slmbench.store import VariantRecord

_KILO = 1e3


def execute(arguments: argparse.Namespace) -> int:
    """A tree, Mermaid text, or JSON on stdout."""
    steps = _steps(arguments)
    forms = {"table": _tree, "mermaid": _mermaid, "json": _json}
    for line in forms[arguments.format](steps):
        print(line)
    simulated = sum(step.variant.kernel == "simulated" for step in steps)
    more = f", {simulated} with simulated kernels" if simulated else ""
    print(f"{len(steps)} variants{more}", file=sys.stderr)
    return 0


def _steps(arguments: argparse.Namespace) -> tuple[LineageStep, ...]:
    root = Path(arguments.results or "results")
    if arguments.models is None or arguments.results is not None:
        results = load_results(root)
        found, accuracies = known_variants(results), quality_of(results)
        if arguments.models is None:
            if not found:
                raise UsageError(
                    f"{root} holds no variants", hint="--models FILE shows those of a models file"
                )
            return steps_of(found, accuracies)
        known = {v.ref.digest: v for v in found}
    else:
        known, accuracies = {}, {}
    return _of_models(arguments.models, known, accuracies)


def _of_models(
    models: str, known: Mapping[str, KnownVariant], accuracies: Accuracies
) -> tuple[LineageStep, ...]:
    """The variants of a models file: as the results know them, else as they lie in the cache."""
    listed = load_models(models)
    found = []
    for name, ref in identify(listed).items():
        variant = listed.variant(name)
        if (seen := known.get(ref.digest)) is not None and seen.ref.name == name:
            found.append(seen)
            continue
        artefact = None if variant.format == "fake" else find(variant, ref)
        record = VariantRecord(
            variant=ref,
            made=None if artefact is None else artefact.made,
            artefact_sha256=None if artefact is None else artefact.sha256,
            artefact_bytes=None if artefact is None else artefact.bytes,
        )
        found.append(KnownVariant(ref, record, None))
    return steps_of(found, accuracies)


def _tree(steps: Sequence[LineageStep]) -> Iterator[str]:
    below, roots = _children(steps)
    for root in roots:
        yield from _branch(root, steps, below, "", None)


def _branch(
    name: str,
    steps: Sequence[LineageStep],
    below: Mapping[str, Sequence[str]],
    indent: str,
    last: bool | None,
) -> Iterator[str]:
    step = next((s for s in steps if s.name == name), None)
    mark = "" if last is None else "└─ " if last else "├─ "
    yield f"{indent}{mark}{name}{'' if step is None else _told(step)}"
    children = below.get(name, ())
    deeper = indent if last is None else indent + ("   " if last else "│  ")
    for i, child in enumerate(children):
        yield from _branch(child, steps, below, deeper, i == len(children) - 1)


def _children(steps: Sequence[LineageStep]) -> tuple[dict[str, list[str]], list[str]]:
    """Names of children by parent, and the roots, unknown parents included."""
    names = [step.name for step in steps]
    below: dict[str, list[str]] = {}
    roots: list[str] = []
    for step in steps:
        parent = step.parent_name
        if parent is None:
            roots.append(step.name)
            continue
        below.setdefault(parent, []).append(step.name)
        if parent not in names:
            roots.append(parent)
    return below, list(dict.fromkeys(roots))


def _told(step: LineageStep) -> str:
    """What is known of a variant, in a line."""
    words = [step.variant.ref.format, *_sizes(step)]
    if step.parent_name is not None:
        words = [f"by {step.technique}", *_cost(step), *words, _quality(step)]
    if step.variant.kernel == "simulated":
        words.append("simulated kernels")
    record = step.variant.record
    if record is not None and record.failure:
        words.append(f"could not be made: {record.failure}")
    return ": " + ", ".join(word for word in words if word)


def _sizes(step: LineageStep) -> list[str]:
    words = []
    if step.variant.bytes:
        ratio = "" if step.size_ratio is None else f" (×{step.size_ratio:.2f})"
        words.append(f"{step.variant.bytes / 1e6:.0f} MB{ratio}")
    if step.variant.bits is not None:
        words.append(f"{step.variant.bits:.2f} bits/weight")
    return words


def _cost(step: LineageStep) -> list[str]:
    words = [] if step.seconds is None else [f"{step.seconds:.0f} s"]
    energy = step.energy
    if energy is not None and energy.joules is not None:
        joules = energy.joules
        shown = f"{joules / _KILO:.1f} kJ" if joules >= _KILO else f"{joules:.0f} J"
        measured = energy.provenance is Provenance.MEASURED
        words.append(shown if measured else f"{shown} ({energy.provenance.value})")
    return words


def _quality(step: LineageStep) -> str:
    change = step.quality
    if change is None:
        return ""
    d = change.difference
    ends = "" if d.low is None or d.high is None else f" [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
    tasks = "1 task" if change.tasks == 1 else f"{change.tasks} tasks"
    runtime = "" if change.same_target else ", on another target"
    return f"accuracy {100 * d.delta:+.1f} points{ends} over {tasks}{runtime}"


def _mermaid(steps: Sequence[LineageStep]) -> Iterator[str]:
    below, roots = _children(steps)
    names = list(dict.fromkeys((*roots, *(step.name for step in steps))))
    ids = {name: f"n{i}" for i, name in enumerate(names)}
    by_name = {step.name: step for step in steps}
    yield "flowchart LR"
    for name in names:
        step = by_name.get(name)
        parts = (
            [name] if step is None else [name, " ".join([step.variant.ref.format, *_sizes(step)])]
        )
        yield f'  {ids[name]}["{_quoted("<br>".join(parts))}"]'
    for parent, children in below.items():
        for child in children:
            step = by_name[child]
            label = "<br>".join(
                word for word in (step.technique, ", ".join(_cost(step)), _quality(step)) if word
            )
            yield f'  {ids[parent]} -->|"{_quoted(label)}"| {ids[child]}'


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")


def _json(steps: Sequence[LineageStep]) -> Iterator[str]:
    yield json.dumps([_object(step) for step in steps], indent=1, ensure_ascii=False)


def _object(step: LineageStep) -> dict[str, object]:
    energy, change = step.energy, step.quality
    d = None if change is None else change.difference
    return {
        "variant": step.name, "digest": step.variant.ref.digest, "parent": step.parent_name,
        "stage": step.variant.ref.stage, "technique": step.technique,
        "format": step.variant.ref.format, "kernel": step.variant.kernel,
        "seconds": step.seconds,
        "energy_j": None if energy is None else energy.joules,
        "energy_provenance": None if energy is None else energy.provenance.value,
        "bytes": step.variant.bytes, "bytes_change": step.bytes_change,
        "size_ratio": step.size_ratio, "bits_per_weight": step.variant.bits,
        "accuracy_change": None if d is None else d.delta,
        "accuracy_change_low": None if d is None else d.low,
        "accuracy_change_high": None if d is None else d.high,
        "accuracy_tasks": None if change is None else change.tasks,
        "accuracy_change_reason": step.no_quality or None,
        "failure": (step.variant.record.failure or None) if step.variant.record else None,
    }  # fmt: skip
