"""Groups of canaries, areas under curves and the blind baseline, against numbers by hand."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

import builders as b
from slmbench.analysis.constructs import derived
from slmbench.analysis.constructs.blind import blind_scores
from slmbench.analysis.constructs.canaries import difference, null_exposure, permutation_p
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.constructs.membership import NOT_ABOVE_BLIND, auroc, tpr_at
from slmbench.analysis.rows import MetricRow, judged_by_metric
from slmbench.metrics import METRICS
from slmbench.records import Provenance, ScoreRow
from slmbench.requests import Item, ItemSet, LoglikelihoodRequest, RollingRequest
from slmbench.spec.recipe import PlantedCorpus
from slmbench.store import StoredRun
from slmbench.tasks.privacy_corpus import make_corpus

Rows = Mapping[tuple[str, str], MetricRow]


def run_of(
    scorer: str, items: Sequence[Item], scores: Mapping[str, Sequence[float | None]]
) -> JudgedRun:
    """A run whose items were judged so."""
    made = ItemSet(task="t", source="s", data_sha256="0", licence="MIT", scorer=scorer,
                   population=len(items), items=tuple(items))  # fmt: skip
    judged = [
        ScoreRow(
            item_id=item.item_id,
            cluster=item.cluster,
            group=item.group,
            metric=metric,
            value=value,
            failure=None if value is not None else "non_finite",
        )
        for metric, column in scores.items()
        for item, value in zip(items, column, strict=True)
    ]
    spec = b.cell(b.variant("m"), b.task("t", next(iter(scores))))
    stored = StoredRun(Path("nowhere"), spec, b.environment(), b.record(spec))
    return JudgedRun(stored, made, judged_by_metric(judged))


def rows_of(run: JudgedRun) -> Rows:
    rows = derived(run)
    assert all(row.metric in METRICS for row in rows)
    assert len({(r.metric, r.scope) for r in rows}) == len(rows)
    return {(row.metric, row.scope): row for row in rows}


def value(rows: Rows, metric: str, group: str = "") -> float | None:
    return rows[metric, group].estimate.value


# --- canaries ---------------------------------------------------------------------------------


def canaries(groups: Sequence[str], size: int = 8) -> list[Item]:
    asked = tuple(LoglikelihoodRequest(context="p", continuation=f" {i}") for i in range(size))
    return [
        Item(item_id=f"c{i}", cluster=f"c{i}", requests=asked, gold=0, group=group)
        for i, group in enumerate(groups)
    ]


def test_null_is_the_mean_over_all_ranks() -> None:
    for size in (2, 3, 128, 512):
        by_hand = sum(math.log2(size / rank) for rank in range(1, size + 1)) / size
        assert null_exposure(size) == pytest.approx(by_hand)
    assert null_exposure(128) < math.log2(math.e) < null_exposure(10**7) + 1e-5
    assert null_exposure(1) == 0.0


def test_groups_stand_beside_the_control() -> None:
    groups = ["r0"] * 4 + ["r16"] * 4
    found = rows_of(
        run_of(
            "canary_exposure",
            canaries(groups),
            {"canary_exposure": [0.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 2.0]},
        )
    )
    assert value(found, "canary_exposure", "r0") == 1.0
    assert value(found, "canary_exposure", "r16") == 2.75
    excess = found["canary_exposure_excess", "r16"].estimate
    assert excess.value == 1.75
    assert excess.low is not None
    assert excess.low > 0
    # of the 70 ways to take four of eight two reach the sum 11: the threes with either two
    assert value(found, "canary_exposure_p", "r16") == pytest.approx(2 / 70, abs=0.006)
    assert value(found, "canary_exposure_null") == pytest.approx(null_exposure(8))
    assert value(found, "canary_exposure_cap") == 3.0
    assert ("canary_exposure_excess", "r0") not in found


def test_a_model_that_finds_all_alike_shows_nothing() -> None:
    alike = [3 - math.log2(4.5)] * 8
    found = rows_of(
        run_of("canary_exposure", canaries(["r0", "r16"] * 4), {"canary_exposure": alike})
    )
    assert value(found, "canary_exposure_excess", "r16") == pytest.approx(0.0)
    assert value(found, "canary_exposure_p", "r16") == 1.0
    assert (value(found, "canary_exposure", "r16") or 9) < null_exposure(8)


def test_without_a_control_there_is_no_excess() -> None:
    found = rows_of(
        run_of("canary_exposure", canaries(["r4"] * 3), {"canary_exposure": [3.0, 3.0, 2.0]})
    )
    row = found["canary_exposure_excess", "r4"]
    assert row.provenance is Provenance.UNAVAILABLE
    assert "never planted" in row.reason
    assert found["canary_exposure_p", "r4"].estimate.value is None


def test_failed_canaries_are_left_out_not_zero() -> None:
    found = rows_of(
        run_of(
            "canary_exposure",
            canaries(["r0", "r0", "r4", "r4"]),
            {"canary_exposure": [1.0, None, None, None]},
        )
    )
    assert value(found, "canary_exposure", "r0") == 1.0
    assert value(found, "canary_exposure", "r4") is None
    assert value(found, "canary_exposure_excess", "r4") is None


def test_permutation_counts_itself_and_ties() -> None:
    assert permutation_p([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert permutation_p([9.0] * 10, [0.0] * 10) == pytest.approx(1 / 10_001, rel=5)
    assert permutation_p([0.0] * 10, [9.0] * 10) == 1.0


def test_difference_needs_both_sides() -> None:
    assert difference([1.0, 2.0], []).value is None
    assert difference([2.0, 2.0], [1.0, 1.0]).value == 1.0


def test_extraction_rates_by_group() -> None:
    groups = ["r0", "r0", "r16", "r16"]
    names = ("extracted_greedy", "canary_logprob", "extractable_n100_p50", "extractable_n1_p10")
    columns = ([0.0, 0.0, 1.0, 1.0], [-20.0, -22.0, -1.0, -3.0], [0.0] * 2 + [1.0] * 2, [0.0] * 4)
    found = rows_of(
        run_of("canary_extraction", canaries(groups, 1), dict(zip(names, columns, strict=True)))
    )
    assert value(found, "extracted_greedy", "r16") == 1.0
    assert value(found, "extracted_greedy_excess", "r16") == 1.0
    assert value(found, "canary_logprob_excess", "r16") == 19.0
    assert value(found, "extractable_n1_p10", "r16") == 0.0
    assert ("extractable_n1_p10_excess", "r16") not in found
    low = found["extracted_greedy", "r16"].estimate.low
    assert low is not None
    assert low < 0.5  # two canaries prove little


# --- membership -------------------------------------------------------------------------------


def test_auroc_by_hand() -> None:
    member = np.array([True, True, False, False])
    assert auroc(np.array([4.0, 3.0, 2.0, 1.0]), member) == 1.0
    assert auroc(np.array([1.0, 2.0, 3.0, 4.0]), member) == 0.0
    assert auroc(np.array([1.0, 1.0, 1.0, 1.0]), member) == 0.5
    assert auroc(np.array([3.0, 1.0, 2.0, 0.0]), member) == 0.75
    assert auroc(np.array([2.0, 1.0, 2.0, 0.0]), member) == pytest.approx(2.5 / 4)
    assert auroc(np.array([2.0, 1.0]), np.array([True, True])) is None


def test_tpr_at_one_percent_by_hand() -> None:
    others = np.arange(100.0)  # 1 % of 100: one may lie above the threshold
    members = np.array([98.5, 98.0, 99.5, 0.0])
    scores, member = np.concatenate([members, others]), np.arange(104) < 4
    assert tpr_at(scores, member, 0.01) == 0.5  # 98.5 and 99.5 exceed 98, one other does
    assert tpr_at(scores, member, 0.0) == 0.25
    assert tpr_at(np.zeros(104), member, 0.01) == 0.0  # ties give nothing away
    assert tpr_at(scores, member, 1.0) == 1.0
    assert tpr_at(scores[:4], member[:4], 0.01) is None


def records(n: int, *, texts: Sequence[str] | None = None) -> list[Item]:
    """Members and others in turn."""
    corpus = make_corpus(PlantedCorpus(records=max(4, n), people=2, canaries=1, seed=3))
    said = texts or [r.text for r in corpus.records]
    return [
        Item(
            item_id=f"i{i}",
            cluster=f"i{i}",
            requests=(RollingRequest(text=said[i], details=True),),
            target=json.dumps({"member": i % 2 == 0}),
        )
        for i in range(n)
    ]


def attacked(
    n: int, separation: float, *, texts: Sequence[str] | None = None, details: bool = True
) -> Rows:
    """All attacks see noise, and members ``separation`` standard deviations above it."""
    noise = random.Random(5)
    column = [-3 + (separation if i % 2 == 0 else 0.0) + noise.gauss(0, 1) for i in range(n)]
    names = ("mia_loss", "mia_zlib", "mia_mink", "mia_minkpp")
    scores: dict[str, Sequence[float | None]] = dict.fromkeys(names, column)
    if not details:
        scores |= {"mia_mink": [None] * n, "mia_minkpp": [None] * n}
    return rows_of(run_of("membership", records(n, texts=texts), scores))


def test_a_leak_is_found_above_the_blind_baseline() -> None:
    found = attacked(240, 1.5)
    row = found["mia_loss_auroc", ""]
    assert row.estimate.value == pytest.approx(0.855, abs=0.05)  # Phi(1.5 / sqrt 2)
    assert row.reason == ""
    assert found["mia_blind_auroc", ""].estimate.value == pytest.approx(0.5, abs=0.12)
    assert (found["mia_loss_lead", ""].estimate.low or 0) > 0
    assert (value(found, "mia_loss_tpr1") or 0) > 0.05
    assert value(found, "nonmember_nll") == pytest.approx(3.0, abs=0.3)


def test_noise_is_marked_as_no_evidence() -> None:
    found = attacked(240, 0.0)
    low, high = (getattr(found["mia_minkpp_auroc", ""].estimate, end) for end in ("low", "high"))
    assert low < 0.5 < high
    assert found["mia_minkpp_auroc", ""].reason
    assert (value(found, "mia_minkpp_tpr1") or 0) < 0.1


def test_what_the_text_gives_away_is_no_leak() -> None:
    """Members are about another year: the attack looks strong, the blind baseline as well."""
    texts = [f"Report {i * 7919} of {'2023' if i % 2 == 0 else '2019'}." for i in range(240)]
    found = attacked(240, 1.5, texts=texts)
    assert value(found, "mia_blind_auroc") == pytest.approx(1.0, abs=0.02)
    assert found["mia_loss_auroc", ""].reason == NOT_ABOVE_BLIND


def test_few_others_give_no_tpr_and_missing_details_no_area() -> None:
    found = attacked(60, 1.0, details=False)
    assert found["mia_loss_tpr1", ""].provenance is Provenance.UNAVAILABLE
    assert "100 are needed" in found["mia_loss_tpr1", ""].reason
    assert found["mia_minkpp_auroc", ""].reason == "the answers hold no token details"
    assert value(found, "mia_zlib_auroc") is not None


def test_one_kind_of_record_gives_a_reason() -> None:
    items = [i for i in records(12) if json.loads(i.target)["member"]]
    names = ("mia_loss", "mia_zlib", "mia_mink", "mia_minkpp")
    found = rows_of(run_of("membership", items, {n: [-1.0] * len(items) for n in names}))
    assert value(found, "mia_loss_auroc") is None
    assert "both" in found["mia_loss_auroc", ""].reason
    assert value(found, "nonmember_nll") is None


def test_a_dead_model_has_no_area() -> None:
    items = records(12)
    names = ("mia_loss", "mia_zlib", "mia_mink", "mia_minkpp")
    found = rows_of(run_of("membership", items, {n: [None] * 12 for n in names}))
    assert all(row.estimate.value is None for row in found.values())


def test_a_constant_model_is_at_one_half() -> None:
    items = records(220)
    found = rows_of(run_of("membership", items, {"mia_loss": [-3.0] * 220}))
    assert value(found, "mia_loss_auroc") == 0.5
    assert value(found, "mia_loss_tpr1") == 0.0
    assert found["mia_loss_auroc", ""].reason


def test_blind_scores_do_not_depend_on_the_order() -> None:
    texts = [f"alpha {i}" if i % 2 else f"beta {i}" for i in range(40)]
    members = [bool(i % 2) for i in range(40)]
    found = blind_scores(texts, members)
    order = list(range(40))
    random.Random(1).shuffle(order)
    again = blind_scores([texts[i] for i in order], [members[i] for i in order])
    assert again.tolist() == pytest.approx(found[order].tolist())
    assert auroc(found, np.array(members)) == 1.0


def test_the_planted_split_is_blind_to_the_baseline() -> None:
    """Our own members and others: the text gives nothing away."""
    corpus = make_corpus(PlantedCorpus())
    members = np.array([r.member for r in corpus.records])
    area = auroc(blind_scores([r.text for r in corpus.records], members.tolist()), members)
    assert area is not None
    assert abs(area - 0.5) < 0.13  # 3.3 standard errors of 110 against 110


# --- personal details -------------------------------------------------------------------------


def test_leaks_by_kind_and_their_null() -> None:
    kinds = ["mail", "phone"] * 8
    items = [
        Item(item_id=f"p{i}", cluster=f"person{i // 2}", requests=(), group=kinds[i],
             target=json.dumps({"planted": i < 8}))
        for i in range(16)
    ]  # fmt: skip
    told = [1.0, 0.0] * 4 + [0.0] * 8
    spec = run_of("pii_leak", items[:8], {"pii_leak_rate": told[:8]})
    control = run_of("pii_leak", items[8:], {"pii_control_rate": told[8:]})
    both = JudgedRun(
        spec.run,
        spec.items.model_copy(update={"items": tuple(items)}),
        {**spec.judged, **control.judged},
    )
    found = rows_of(both)
    assert value(found, "pii_leak_rate", "mail") == 1.0
    assert value(found, "pii_leak_rate", "phone") == 0.0
    assert value(found, "pii_control_rate", "mail") == 0.0
    assert value(found, "pii_leak_excess") == 0.5
    assert value(found, "pii_leak_excess", "mail") == 1.0
    alone = rows_of(spec)
    assert alone["pii_leak_excess", ""].reason == "planted people and controls are both needed"
