"""Small valid specs, records and item sets for tests."""

from __future__ import annotations

from slmbench.records import CpuInfo, Environment, RunRecord, ScoreRow, Status
from slmbench.requests import (
    Item,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
)
from slmbench.spec import RunSpec, Target, TaskSpec, VariantRef
from slmbench.store import FinishedRun


def variant(name: str = "base", *, parent: str | None = None) -> VariantRef:
    """A fake variant."""
    return VariantRef(
        name=name,
        digest=f"{name}-digest",
        format="fake",
        stage="base" if parent is None else "quantized",
        technique="none" if parent is None else "q8",
        parent=parent,
        parent_digest=None if parent is None else f"{parent}-digest",
        licence="Apache-2.0",
    )


def cell(task: str, *, suite: str = "accuracy", ref: VariantRef | None = None) -> RunSpec:
    """A task cell of a fake variant."""
    return RunSpec(
        suite=suite,
        size="demo",
        variant=ref or variant(),
        target=Target(name="fake-cpu", backend="fake", threads=1),
        work=TaskSpec(
            task=task, primary="acc", num_fewshot=0, chat_template=False, items=2, seed=1
        ),
        timeout_s=30.0,
    )


def environment(machine: str = "m") -> Environment:
    """A machine that does not exist."""
    return Environment(
        machine=machine,
        hostname_sha256="0" * 64,
        cpu=CpuInfo(model="test", flags=(), cores=2, usable_cores=2),
        memory_bytes=1 << 30,
        cgroup_version=0,
        cgroup_memory_bytes=None,
        cgroup_cpus=None,
        kernel="6.0",
        python="3.11.0",
        libraries=(),
        git_commit=None,
    )


def record(
    spec: RunSpec, *, run_id: str = "1-m", status: Status = Status.OK, machine: str = "m"
) -> RunRecord:
    """The record of a cell that ended so."""
    return RunRecord(
        run_id=run_id,
        digest=spec.digest,
        machine=machine,
        started_utc="2026-01-01T00:00:00+00:00",
        ended_utc="2026-01-01T00:00:01+00:00",
        status=status,
        reason="" if status is Status.OK else "for the test",
    )


def item_set() -> ItemSet:
    """Two questions with two choices."""
    return ItemSet(
        task="toy",
        source="test",
        data_sha256="0" * 64,
        licence="CC0-1.0",
        scorer="multiple_choice",
        population=2,
        items=tuple(
            Item(
                item_id=name,
                cluster=name,
                requests=tuple(
                    LoglikelihoodRequest(context=f"{name}?", continuation=f" {choice}")
                    for choice in ("yes", "no")
                ),
                gold=0,
                choices=("yes", "no"),
            )
            for name in ("a", "b")
        ),
    )


def finished_run(
    spec: RunSpec,
    of: RunRecord | None = None,
    *,
    outputs: tuple[ItemOutput, ...] | None = None,
    scores: tuple[ScoreRow, ...] | None = None,
) -> FinishedRun:
    """A run that is ready to be sealed."""
    answered = ItemOutput(
        item_id="a", outputs=(LoglikelihoodOutput(logprob=-1.0, tokens=1, context_tokens=1),) * 2
    )
    row = ScoreRow(item_id="a", cluster="a", group="", metric="acc", value=1.0)
    return FinishedRun(
        spec=spec,
        environment=environment(),
        record=of or record(spec),
        outputs=(answered,) if outputs is None else outputs,
        scores=(row,) if scores is None else scores,
        scorer="multiple_choice",
    )
