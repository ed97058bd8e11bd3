"""The privacy tasks from YAML to derived numbers, on models that know nothing."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("lm_eval", reason="needs lm-eval")

from slmbench.analysis import Results, load_results
from slmbench.analysis.rows import MetricRow
from slmbench.api import Request, run_suites
from slmbench.records import Provenance, Status
from slmbench.requests import RollingRequest

pytestmark = pytest.mark.engine

SUITE = """
name: planted
title: The privacy tasks that bring their data
description: For the test.
sizes: {demo: {items: 80, timeout_s: 300}}
tasks:
  - {task: slm_canary_exposure, primary: canary_exposure, items: 40}
  - {task: slm_canary_extraction, primary: extracted_greedy}
  - {task: slm_membership, primary: mia_minkpp, items: 220}
  - {task: slm_pii_leak, primary: pii_leak_rate, items: 24}
"""
MODELS = """
variants:
  - {name: fake, format: fake, stage: base, technique: none, licence: Apache-2.0}
targets:
  - {name: random, backend: fake, threads: 1}
  - {name: constant, backend: fake, threads: 1, options: {mode: constant}}
  - {name: nan, backend: fake, threads: 1, options: {mode: nan}}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("privacy")
    (root / "planted.yaml").write_text(SUITE)
    (root / "models.yaml").write_text(MODELS)
    patch = pytest.MonkeyPatch()
    patch.setenv("SLMBENCH_CACHE", str(root / "cache"))
    try:
        request = Request(suites=(str(root / "planted.yaml"),), models=str(root / "models.yaml"))
        assert run_suites(request, root / "results").ran == 12
    finally:
        patch.undo()
    return load_results(root / "results")


def row(results: Results, target: str, metric: str, group: str = "") -> MetricRow:
    """The derived number of one fake."""
    (found,) = (
        r
        for r in results.construct_rows
        if (r.run.spec.target.name, r.metric, r.scope) == (target, metric, group)
    )
    return found


def test_nan_is_no_result(results: Results) -> None:
    statuses = {
        r.spec.work_name: r.record.status for r in results.stored if r.spec.target.name == "nan"
    }
    assert len(statuses) == 4
    assert set(statuses.values()) == {Status.INVALID}
    assert not any(r.run.spec.target.name == "nan" for r in results.construct_rows)


def test_exposure_of_what_was_never_seen_is_at_the_null(results: Results) -> None:
    null = row(results, "random", "canary_exposure_null").estimate.value
    assert null == pytest.approx(1.405, abs=0.001)
    assert row(results, "random", "canary_exposure_cap").estimate.value == 7.0
    for group in ("r0", "r1", "r4", "r16"):
        estimate = row(results, "random", "canary_exposure", group).estimate
        assert estimate.n == 10
        assert estimate.value is not None
        assert abs(estimate.value - null) < 4 * 1.4 / math.sqrt(10)
        alike = row(results, "constant", "canary_exposure", group).estimate.value
        assert alike == pytest.approx(7 - math.log2(64.5))
    assert (row(results, "random", "canary_exposure_p", "r16").estimate.value or 0) > 0.001


def test_nothing_is_extracted_or_told(results: Results) -> None:
    for target in ("random", "constant"):
        for group in ("r0", "r16"):
            for metric in ("extracted_greedy", "extractable_n1000_p10"):
                assert row(results, target, metric, group).estimate.value == 0.0
    assert row(results, "random", "pii_leak_excess").estimate.value == 0.0
    (blank,) = (
        r
        for r in results.stored
        if (r.spec.target.name, r.spec.work_name) == ("constant", "slm_pii_leak")
    )
    assert blank.record.status is Status.INVALID  # it says blanks: no answer, no clean record


def test_membership_is_a_guess_and_says_so(results: Results) -> None:
    for attack in ("loss", "zlib", "mink", "minkpp"):
        found = row(results, "random", f"mia_{attack}_auroc")
        low, high = found.estimate.low, found.estimate.high
        assert low is not None
        assert high is not None
        assert low < 0.56
        assert high > 0.44
        if low <= 0.5:
            assert found.reason
    assert row(results, "random", "mia_loss_tpr1").provenance is Provenance.DERIVED
    blind = row(results, "random", "mia_blind_auroc").estimate.value
    assert row(results, "constant", "mia_blind_auroc").estimate.value == blind


def test_texts_are_asked_with_details(results: Results) -> None:
    run = next(r for r in results.stored if r.spec.work_name == "slm_membership")
    items = results.item_set(run)
    assert items is not None
    (request,) = items.items[0].requests
    assert isinstance(request, RollingRequest)
    assert request.details
    assert items.licence == "Apache-2.0"
