"""Fidelity through the whole path with the fake backend: reference, floor, scratch, resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slmbench.analysis import load_results
from slmbench.api import Request, plan_suites, run_suites
from slmbench.errors import UsageError
from slmbench.records import Status
from slmbench.store import read_store

FAKE = {"format": "fake", "technique": "none", "licence": "Apache-2.0"}
VARIANTS = [
    {"name": "base", "stage": "base", **FAKE},
    {"name": "small", "stage": "quantized", "parent": "base", **FAKE},
    {"name": "smaller", "stage": "quantized", "parent": "base", **FAKE},
    {"name": "alone", "stage": "base", **FAKE},
]


class Folder:
    """A models file and a results folder below a temporary one, with a cache of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.results, self.cache = root, root / "results", root / "cache"
        self.scratch = self.cache / "scratch"

    def request(self, *overrides: str, **options: object) -> Request:
        target = {"name": "fake-cpu", "backend": "fake", "threads": 1, "options": options}
        path = self.root / "models.yaml"
        path.write_text(json.dumps({"variants": VARIANTS, "targets": [target]}))
        knobs = ("sizes.demo.repeats=6", "sizes.demo.output_tokens=[40]", *overrides)
        return Request(("fidelity",), str(path), overrides=knobs)

    def left(self) -> list[Path]:
        return sorted(self.scratch.rglob("*")) if self.scratch.exists() else []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    made = Folder(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(made.cache))
    return made


def test_children_differ_from_their_parent_and_the_parent_not_from_itself(folder: Folder) -> None:
    summary = run_suites(folder.request(), folder.results)
    assert summary.failed == ()
    assert summary.ran == 3
    table = load_results(folder.results).fidelity().query("measure == 'kld_mean'")
    values = table.set_index("variant")
    assert values.loc["base", "value"] == 0
    assert bool(values.loc["base", "is_floor"])
    for name in ("small", "smaller"):
        assert values.loc[name, "value"] > 0.1
        assert values.loc[name, "floor"] == 0
        assert values.loc[name, "n"] == values.loc["base", "n"] > 200
    assert folder.left() == []


def test_a_root_without_children_is_skipped_with_a_reason(folder: Folder) -> None:
    planned = plan_suites(folder.request())
    (skip,) = planned.plan.skips
    assert (skip.variant, skip.work) == ("alone", "fidelity")
    assert "no parent" in skip.reason
    labels = [c.spec.label for c in planned.plan.cells]
    assert "fidelity/fidelity · small · fake-cpu (against base)" in labels


def test_one_context_and_one_length_only(folder: Folder) -> None:
    with pytest.raises(UsageError, match="fidelity takes one number of prompt_tokens"):
        plan_suites(folder.request("sizes.demo.prompt_tokens=[8, 16]"))


def test_the_record_holds_samples_by_window_and_no_load_time(folder: Folder) -> None:
    run_suites(folder.request(), folder.results)
    run = next(r for r in read_store(folder.results).runs if r.spec.variant.name == "small")
    assert [p.phase for p in run.record.phases] == ["load", *["window"] * 6]
    readings = {m.metric for p in run.record.phases for m in p.measurements}
    assert readings == {
        "kld", "top1_agreement", "logprob_true_delta", "prob_true_delta", "text_bpb_delta",
    }  # fmt: skip
    assert run.spec.work.reference.variant.name == "base"  # type: ignore[union-attr]


def test_a_second_run_needs_no_reference(folder: Folder) -> None:
    run_suites(folder.request(), folder.results)
    again = run_suites(folder.request(), folder.results)
    assert again.ran == 0
    assert run_suites(folder.request("sizes.demo.repeats=7"), folder.results).ran == 3


def test_a_reference_that_dies_ends_its_cells_with_the_reason(folder: Folder) -> None:
    summary = run_suites(folder.request(fault="sigsegv", fault_at="load"), folder.results)
    assert len(summary.failed) == 3
    for state in summary.failed:
        assert state.status is Status.INVALID
        assert "reference base on fake-cpu" in state.reason
        assert "SIGSEGV" in state.reason
    assert folder.left() == []


def test_killed_at_any_time_the_next_run_finishes_and_no_scratch_stays(folder: Folder) -> None:
    request = folder.request("sizes.demo.repeats=32", "sizes.demo.output_tokens=[300]")
    command = [sys.executable, "-m", "slmbench.cli.main", "run", "fidelity"]
    command += ["--models", request.models, "--results", str(folder.results)]
    command += [part for o in request.overrides for part in ("--set", o)]
    runner = subprocess.Popen(
        command, env=os.environ, start_new_session=True, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(folder.scratch.rglob("logprobs.f32")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    assert folder.left() != []
    assert len(read_store(folder.results).runs) < 3
    summary = run_suites(request, folder.results)
    assert summary.failed == ()
    assert folder.left() == []
