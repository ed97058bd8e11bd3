"""Small builders of stored runs: specs, records and item sets with sensible defaults.

Everything goes through ``slmbench.store``, so a store made here is a real one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slmbench.records import (
    CpuInfo,
    Environment,
    Measurement,
    ModelInfo,
    Observation,
    PhaseRecord,
    Provenance,
    RunRecord,
    ScoreRow,
    Status,
)
from slmbench.requests import (
    GenerateOutput,
    Item,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
)
from slmbench.spec import RunSpec, Target, TaskSpec, VariantRef, WorkloadPoint, WorkloadSpec
from slmbench.store import FinishedRun, save_items, seal

MACHINE = "0123456789abcdef"
LATER = "20300101T000000000000Z"
"""A run id's time that is after all default ones."""
_CLOCK = {"runs": 0}


def sha(text: str) -> str:
    """A digest that depends on the text only."""
    return hashlib.sha256(text.encode()).hexdigest()


def variant(name: str, *, parent: str | None = None, **changes: Any) -> VariantRef:
    """A variant whose digest follows from its name."""
    return VariantRef(
        **{
            "name": name,
            "digest": sha(name),
            "format": "gguf",
            "stage": "quantized" if parent else "base",
            "technique": "q4" if parent else "none",
            "parent": parent,
            "parent_digest": sha(parent) if parent else None,
            "licence": "Apache-2.0",
            **changes,
        }
    )


def target(name: str = "fake-cpu", **changes: Any) -> Target:
    """A CPU target of two threads."""
    return Target(**{"name": name, "backend": "fake", "threads": 2, **changes})


def task(name: str = "arc_easy", primary: str = "acc", **changes: Any) -> TaskSpec:
    """A task as a run knows it."""
    settings = {"num_fewshot": 0, "chat_template": False, "items": None, "seed": 1}
    return TaskSpec(task=name, primary=primary, **{**settings, **changes})


def workload(name: str = "latency", *points: tuple[int, int]) -> WorkloadSpec:
    """A workload over (prompt, output) points."""
    grid = tuple(WorkloadPoint(prompt_tokens=p, output_tokens=o) for p, o in points or [(128, 32)])
    return WorkloadSpec(
        workload=name, points=grid, repeats=10, warmup=1, window_s=2, idle_s=0, seed=1
    )


def cell(
    what: VariantRef,
    work: TaskSpec | WorkloadSpec,
    *,
    suite: str = "accuracy",
    on: Target | None = None,
    **changes: Any,
) -> RunSpec:
    """One cell of a plan."""
    return RunSpec(
        **{
            "suite": suite,
            "size": "demo",
            "variant": what,
            "target": on or target(),
            "work": work,
            "timeout_s": 300,
            **changes,
        }
    )


def environment(machine: str = MACHINE) -> Environment:
    """A small virtual machine."""
    return Environment(
        machine=machine,
        hostname_sha256=sha("host"),
        cpu=CpuInfo(model="Example CPU @ 2 GHz", flags=("avx2", "fma"), cores=2, usable_cores=2),
        memory_bytes=24 * 10**9,
        cgroup_version=1,
        cgroup_memory_bytes=None,
        cgroup_cpus=2.0,
        kernel="6.1.0",
        python="3.11.7",
        libraries=("llama-cpp-python==0.3.36", "torch==2.13.0"),
        git_commit=None,
        thread_settings=("OMP_NUM_THREADS=2",),
    )


def model(bits: float = 4.5, **changes: Any) -> ModelInfo:
    """A 135 M model stored at that many bits per weight."""
    weight_bytes = int(134_515_008 * bits / 8)
    return ModelInfo(
        **{
            "artefact_sha256": sha(f"artefact {bits}"),
            "artefact_bytes": weight_bytes + 2_000_000,
            "weight_bytes": weight_bytes,
            "parameters": 134_515_008,
            "bits_per_weight": bits,
            "layers": 30,
            "hidden_size": 576,
            "vocab_size": 49152,
            "context_train": 2048,
            "kv_bytes_per_token": 23040,
            "adds_bos": False,
            **changes,
        }
    )


def record(spec: RunSpec, **changes: Any) -> RunRecord:
    """An ok record; each call gets a later run id unless ``run_id`` is given."""
    _CLOCK["runs"] += 1
    stamp = f"20260101T{_CLOCK['runs']:012d}Z"
    machine = changes.get("machine", MACHINE)
    return RunRecord(
        **{
            "run_id": f"{stamp}-{machine}",
            "digest": spec.digest,
            "machine": machine,
            "started_utc": "2026-01-01T00:00:00+00:00",
            "ended_utc": "2026-01-01T00:01:00+00:00",
            "status": Status.OK,
            "model": model(),
            "slmbench_version": "0.1.0",
            **changes,
        }
    )


def choice_items(name: str, n: int, *, choices: int = 4, clusters: int | None = None) -> ItemSet:
    """A multiple-choice set of ``n`` items in ``clusters`` clusters (each its own by default)."""
    asked = tuple(
        LoglikelihoodRequest(context="question", continuation=f" {c}") for c in range(choices)
    )
    items = tuple(
        Item(
            item_id=f"{name}/{i}",
            cluster=f"c{i % clusters}" if clusters else f"{name}/{i}",
            requests=asked,
            gold=0,
            choices=tuple(str(c) for c in range(choices)),
        )
        for i in range(n)
    )
    return ItemSet(
        task=name,
        source="made for tests",
        data_sha256=sha(name),
        licence="CC0-1.0",
        scorer="multiple_choice",
        population=n,
        items=items,
    )


def choice_set(
    choices: list[tuple[str, ...]], gold: list[int | None], name: str = "arc_easy"
) -> ItemSet:
    """A multiple-choice set with these texts and right answers."""
    plain = choice_items(name, len(choices), choices=len(choices[0]))
    return plain.model_copy(
        update={
            "items": tuple(
                item.model_copy(update={"choices": texts, "gold": right})
                for item, texts, right in zip(plain.items, choices, gold, strict=True)
            )
        }
    )


def measurement(metric: str, *samples: float, **changes: Any) -> Measurement:
    """Readings of one metric; none means unavailable, with a reason."""
    provenance = Provenance.MEASURED if samples else Provenance.UNAVAILABLE
    settings = {"provenance": provenance, "method": "counter"}
    settings |= {} if samples else {"reason": "no such counter here"}
    return Measurement(metric=metric, samples=samples, **{**settings, **changes})


def phase(name: str, *measurements: Measurement, seen: Sequence[Observation] = ()) -> PhaseRecord:
    """A phase of one second."""
    return PhaseRecord(
        phase=name,
        started_utc="2026-01-01T00:00:00+00:00",
        duration_ns=10**9,
        measurements=measurements,
        observations=tuple(seen),
    )


def loaded(value: float = 3.5) -> Observation:
    """Other work on the machine."""
    return Observation(
        kind="load_average", value=value, unit="threads", message="other work ran meanwhile"
    )


def answered(
    items: ItemSet, logprobs: Sequence[Sequence[float | None]], *, tokens: int = 3
) -> list[ItemOutput]:
    """Log-likelihoods per item and choice; None is one that was not finite."""
    return [
        ItemOutput(
            item_id=item.item_id,
            outputs=tuple(
                LoglikelihoodOutput(
                    logprob=value,
                    tokens=tokens,
                    context_tokens=9,
                    failure=None if value is not None else "non_finite",
                )
                for value in values
            ),
        )
        for item, values in zip(items.items, logprobs, strict=True)
    ]


def written(items: ItemSet, texts: Sequence[str]) -> list[ItemOutput]:
    """Generated answers per item, a token a word and one that ends them."""
    return [
        ItemOutput(
            item_id=item.item_id,
            outputs=(
                GenerateOutput(
                    text=text,
                    token_ids=tuple(range(len(text.split()) + 1)),
                    prompt_tokens=9,
                    evaluated_tokens=9,
                    start_ns=0,
                    token_ns=tuple(range(1, len(text.split()) + 2)),
                    finish="stop",
                    failure=None if text else "empty_output",
                ),
            ),
        )
        for item, text in zip(items.items, texts, strict=True)
    ]


@dataclass(slots=True)
class Shelf:
    """A results folder under construction."""

    root: Path
    folders: list[Path] = field(default_factory=list)

    def task(
        self,
        spec: RunSpec,
        items: ItemSet,
        scores: Mapping[str, Sequence[float | None]],
        *,
        outputs: Sequence[ItemOutput] = (),
        **changes: Any,
    ) -> Path:
        """Seal a quality run: per metric one score an item, in the items' order."""
        digest = save_items(self.root, items)
        rows = tuple(
            ScoreRow(
                item_id=item.item_id,
                cluster=item.cluster,
                group=item.group,
                metric=metric,
                value=value,
                failure=None if value is not None else "non_finite",
            )
            for metric, values in scores.items()
            for item, value in zip(items.items, values, strict=True)
        )
        made = record(spec, **{"item_set": digest, "items_total": len(items.items), **changes})
        return self._seal(spec, made, rows, tuple(outputs))

    def load(self, spec: RunSpec, *phases: PhaseRecord, **changes: Any) -> Path:
        """Seal a workload run."""
        return self._seal(spec, record(spec, **{"phases": phases, **changes}), ())

    def failure(self, spec: RunSpec, status: Status, reason: str, **changes: Any) -> Path:
        """Seal a run that ended badly."""
        made = record(spec, **{"status": status, "reason": reason, "model": None, **changes})
        return self._seal(spec, made, ())

    def _seal(
        self,
        spec: RunSpec,
        made: RunRecord,
        scores: tuple[ScoreRow, ...],
        outputs: tuple[ItemOutput, ...] = (),
    ) -> Path:
        run = FinishedRun(spec, environment(made.machine), made, outputs, scores, "multiple_choice")
        self.folders.append(seal(self.root, run))
        return self.folders[-1]
