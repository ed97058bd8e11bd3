"""Signatures of memory, of long texts and of training: rules over workloads and records."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
import cost_store as c
import signature_store as s
from slmbench.analysis.signature_rules.findings import Thresholds
from slmbench.records import ProbeEnding, Status
from slmbench.spec import VariantRef, WorkloadSpec
from slmbench.spec.points import parse_point

ROOT = b.variant("base")
CHILD = b.variant("child", parent="base")


@pytest.fixture
def shelf(tmp_path: Path) -> b.Shelf:
    return b.Shelf(tmp_path)


def test_a_run_ended_for_want_of_memory_is_severe(shelf: b.Shelf) -> None:
    spec = b.cell(CHILD, b.workload(), suite="latency")
    shelf.failure(spec, Status.OOM, "the kernel ended the worker at 900 MB")
    found = s.finding(shelf.root, "child", "edge out of memory")
    assert (found.verdict, found.severity) == ("yes", "severe")
    assert "900 MB" in found.text


def test_stiffness_is_gap_closure_with_the_base_trained_too(shelf: b.Shelf) -> None:
    """Before 1.5 against 1.0, after 1.3 against 0.9: G = 1 - 0.4 / 0.5 = 0.2."""
    tuned = b.variant("base-tuned", parent="base", stage="finetuned")
    stiff = b.variant("stiff", parent="pruned", stage="recovered")
    fluid = b.variant("fluid", parent="pruned", stage="recovered")
    pruned = b.variant("pruned", parent="base", stage="pruned")
    for ref in (tuned, stiff, fluid, pruned):
        s.choice(shelf, ref, s.both(0.5))
    s.on_grid(shelf.root, pruned, 4)
    s.trained(shelf.root, stiff, 1.5, 1.3, seed=1)
    found = s.finding(shelf.root, "stiff", "stiffness")
    assert found.verdict == "not decidable"
    assert "no base trained with the same budget" in found.reason
    s.trained(shelf.root, tuned, 1.0, 0.9, tokens=8192)
    assert s.finding(shelf.root, "stiff", "stiffness").verdict == "not decidable"
    s.trained(shelf.root, tuned, 1.0, 0.9)
    found = s.finding(shelf.root, "stiff", "stiffness")
    assert (found.verdict, found.severity) == ("yes", "moderate")
    assert found.evidence[0].value == pytest.approx(0.2)
    assert "one seed: no interval" in found.text
    s.trained(shelf.root, fluid, 1.5, 1.0, seed=1, parent_identity=b.sha("another"))
    assert s.finding(shelf.root, "base-tuned", "stiffness").verdict == "does not apply"


def test_seeds_give_stiffness_an_interval(shelf: b.Shelf) -> None:
    pruned = b.variant("pruned", parent="base", stage="pruned")
    s.on_grid(shelf.root, pruned, 4)
    tuned = b.variant("base-tuned", parent="base", stage="finetuned")
    s.trained(shelf.root, tuned, 1.0, 0.9)
    for seed, after in enumerate((1.05, 1.10, 1.15)):
        ref = b.variant(f"seed{seed}", parent="pruned", stage="recovered")
        s.trained(shelf.root, ref, 1.5, after, seed=seed)
        s.choice(shelf, ref, s.both(0.5))
    other = b.variant("faster", parent="pruned", stage="recovered")
    s.trained(shelf.root, other, 1.5, 0.9, learning_rate=1e-3)
    found = s.finding(shelf.root, "seed0", "stiffness")
    first = found.evidence[0]
    assert (found.verdict, first.n) == ("not decidable", 3)
    assert first.value == pytest.approx(0.6)
    assert first.low is not None
    assert first.low < 0.5 < 0.6
    strict = Thresholds(gap_closure=0.95)
    assert s.finding(shelf.root, "seed0", "stiffness", strict).verdict == "yes"


def test_each_seed_is_paired_with_the_base_of_that_seed(shelf: b.Shelf) -> None:
    """A base that ends 0.1 higher with every seed, and a training that does too: G is constant.

    Of the base's settings the one of least mean counts among those with most seeds: one lucky run
    at another rate is no base.
    """
    s.on_grid(shelf.root, b.variant("pruned", parent="base", stage="pruned"), 4)
    for seed in (0, 1, 2):
        tuned = b.variant(f"base{seed}", parent="base", stage="finetuned")
        s.trained(shelf.root, tuned, 1.0, 0.7 + seed / 10, seed=seed)
        worse = b.variant(f"worse{seed}", parent="base", stage="finetuned")
        s.trained(shelf.root, worse, 1.0, 0.95, seed=seed, learning_rate=1e-5)
        ref = b.variant(f"seed{seed}", parent="pruned", stage="recovered")
        s.trained(shelf.root, ref, 1.5, 0.9 + seed / 10, seed=seed)
        s.choice(shelf, ref, s.both(0.5))
    lucky = b.variant("lucky", parent="base", stage="finetuned")
    s.trained(shelf.root, lucky, 1.0, 0.5, seed=0, learning_rate=1e-2)
    found = s.finding(shelf.root, "seed1", "stiffness").evidence[0]
    assert (found.n, found.reference) == (3, "base1")
    assert found.value == pytest.approx(0.6)
    assert found.low == pytest.approx(0.6)
    assert found.high == pytest.approx(0.6)


def searched(shelf: b.Shelf, ref: VariantRef, fits_from: int) -> None:
    """A search below 100, 200 and 400 MB; it answers from that limit on."""
    limits = (100, 200, 400)
    work = WorkloadSpec(
        workload="oom_frontier", points=(parse_point("pp240+tg16"),), repeats=1, warmup=0,
        window_s=0, idle_s=0, seed=1, memory_limits=tuple(m * 10**6 for m in limits),
    )  # fmt: skip
    found = [
        b.measurement("max_context", *((256.0,) if m >= fits_from else ()), point=f"{m} MB")
        for m in limits
    ]
    probes = []
    for m in limits:
        status = Status.OK if m >= fits_from else Status.OOM
        ending = ProbeEnding(
            limit_bytes=m * 10**6, enforced_by="cgroup v2", context=256, batch=1, status=status
        )
        probes.append(b.phase("probe").model_copy(update={"probe": ending}))
    shelf.load(b.cell(ref, work, suite="memory"), *probes, b.phase("frontier", *found))


def test_limits_that_only_the_parent_fits_below_are_moderate(shelf: b.Shelf) -> None:
    searched(shelf, ROOT, 200)
    searched(shelf, CHILD, 400)
    searched(shelf, b.variant("huge", parent="base"), 900)
    searched(shelf, b.variant("smaller", parent="base"), 100)
    found = s.finding(shelf.root, "child", "edge out of memory")
    assert (found.verdict, found.severity) == ("yes", "moderate")
    assert "below 200 MB it does not answer with 256 tokens" in found.text
    assert "base does" in found.text
    huge = s.finding(shelf.root, "huge", "edge out of memory")
    assert (huge.verdict, huge.severity, len(huge.evidence)) == ("yes", "severe", 3)
    assert s.finding(shelf.root, "smaller", "edge out of memory").verdict == "no"
    base = s.finding(shelf.root, "base", "edge out of memory")
    assert (base.verdict, base.text) == ("no", "answers with 256 tokens below 200 MB")


def test_long_texts_are_judged_by_the_rules_that_exist(shelf: b.Shelf) -> None:
    c.retrieval(shelf, {100: 0.95, 200: 0.95, 400: 0.1})
    found = s.finding(shelf.root, c.ROOT.name, "fails on long texts")
    assert (found.verdict, found.severity) == ("yes", "moderate")
    assert "effective length 240 tokens" in found.text


def test_long_texts_that_are_read_well_are_no_signature(shelf: b.Shelf) -> None:
    c.retrieval(shelf, {100: 0.95, 200: 0.95, 400: 0.95})
    assert s.finding(shelf.root, c.ROOT.name, "fails on long texts").verdict == "no"
